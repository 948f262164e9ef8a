"""What the tests share: where the real files are, which emcore is tested, and results to draw."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emcore
from emcore import _emcore
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal

# No window opens on a desktop.
os.environ.setdefault("MPLBACKEND", "agg")

DATA = Path(os.environ.get("EMCORE_TEST_DATA", Path(__file__).parents[1] / "../shared/data")).resolve()


# Jobs in the background of a shell ignore it, and so would the processes that tests start in order to interrupt them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    where = Path(emcore.__file__).parent
    return f"emcore {emcore.__version__} in {where}, {_emcore.instruction_set()}, real files in {DATA}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("posix") and os.name != "posix":
        pytest.skip("this system has neither fork nor the signals of POSIX")
    if item.get_closest_marker("linux") and sys.platform != "linux":
        pytest.skip("this system does not say in /proc how much memory is used")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real files; the test is skipped where they are not at hand."""
    if not DATA.is_dir():
        pytest.skip(f"the real files are not in {DATA} (set EMCORE_TEST_DATA)")
    return DATA


@pytest.fixture(scope="session")
def same() -> Callable[..., bool]:
    """Whether two results are equal to the last bit, field by field, but for some fields."""

    def compare(a: Any, b: Any, but: tuple[str, ...] = ("provenance",)) -> bool:
        return all(
            np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=True)
            if isinstance(getattr(a, f.name), np.ndarray)
            else getattr(a, f.name) == getattr(b, f.name)
            for f in fields(a)
            if f.name not in but
        )

    return compare


@pytest.fixture
def make_analysis() -> Callable[..., Any]:
    """Makes a result as `analyze_image` gives it, without the analysis: `k` vertical stripes as regions."""
    from emcore.results.image_analysis import ImageAnalysis

    def make(
        k: int = 3,
        shape: tuple[int, int] = (200, 300),
        window: int = 32,
        scale: float = 0.1,
        units: str = "nm",
        name: str = "image.tif",
        notes: tuple[str, ...] = (),
    ) -> Any:
        rng = np.random.default_rng(k)
        step = window // 4
        axes = tuple(Axis(n, size, scale, 0.0, units) for n, size in zip("yx", shape, strict=True))
        y, x = (scale * (np.arange((size - window) // step + 1) * step + (window - 1) / 2) for size in shape)
        regions = np.broadcast_to(np.arange(shape[1]) * k // shape[1], shape).astype(np.int32)
        frequency = np.fft.fftshift(np.fft.fftfreq(window, scale))
        direction = np.linspace(0, 150, k)
        spacing = np.linspace(4, 8, k) * scale
        spectra = rng.random((k, window, window)) * 0.1
        for i in range(k):
            kx, ky = np.cos(np.radians(direction[i])) / spacing[i], -np.sin(np.radians(direction[i])) / spacing[i]
            for sign in (-1, 1):
                spectra[i, np.abs(frequency - sign * ky).argmin(), np.abs(frequency - sign * kx).argmin()] = 1
        return ImageAnalysis(
            maps=rng.random((k, len(y), len(x))).astype(np.float32),
            spectra=(spectra / spectra.sum(axis=(1, 2), keepdims=True)).astype(np.float32),
            y=y,
            x=x,
            frequency_y=frequency,
            frequency_x=frequency,
            regions=regions,
            area=np.bincount(regions.ravel(), minlength=k) / regions.size,
            spacing=spacing,
            direction=direction,
            evr=np.r_[0.5 ** np.arange(1, k + 1), 0.001 * 0.9 ** np.arange(21)][: max(21, k)],
            n_components=k,
            rule="gap",
            reason="largest ratio of neighbouring EVR",
            image=Signal(rng.random(shape).astype(np.float32), axes, "", name),
            provenance=Provenance(
                "analyze_image", {"window": window, "step": step}, {"emcore": "0"}, name, "0" * 64, notes=notes
            ),
        )

    return make


@pytest.fixture
def passes(monkeypatch):
    """The names of the functions that passes over data are made with."""
    from emcore.outofcore.engine import Passes

    made, visit = [], Passes.__call__

    def counted(self, function, *args, **kwargs):
        made.append(function.__name__)
        return visit(self, function, *args, **kwargs)

    monkeypatch.setattr(Passes, "__call__", counted)
    return made


@pytest.fixture
def killing(monkeypatch):
    """A function by which pass number so many is killed; it gives a list with an entry for each pass."""
    from emcore.outofcore.engine import Passes

    visit = Passes.__call__

    def kill_in(number):
        made = []

        def killed(*args, **kwargs):
            made.append(1)
            if len(made) == number:
                raise KeyboardInterrupt
            return visit(*args, **kwargs)

        monkeypatch.setattr(Passes, "__call__", killed)
        return made

    return kill_in


@pytest.fixture
def stored_as(tmp_path):
    """A function that leaves a scan where it is stored: a "map", "hdf5", "zarr" or "dask"."""

    def store(kind, patterns, name="scan"):
        chunks = (4, 8, *patterns.shape[2:])
        if kind == "map":
            np.save(tmp_path / f"{name}.npy", patterns)
            return np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        if kind == "hdf5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(tmp_path / f"{name}.h5", "w") as file:
                file.create_dataset("data", data=patterns, chunks=chunks, compression="gzip")
            return h5py.File(tmp_path / f"{name}.h5")["data"]
        if kind == "zarr":
            return pytest.importorskip("zarr").create_array(tmp_path / f"{name}.zarr", data=patterns, chunks=chunks)
        return pytest.importorskip("dask.array").from_array(patterns, chunks=(10, 12, *patterns.shape[2:]))

    return store


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    """Data that are stored or lazy are visited where they are, however small."""
    from emcore.core import memory

    monkeypatch.setattr(memory, "LOADED", 0.0)
