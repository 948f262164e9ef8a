"""What went wrong while a file was read is said truly: damage, a missing package, a fault of ours."""

import errno
import json
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import emcore
from emcore.cli import main
from emcore.core.extras import install
from emcore.io import registry
from emcore.io.errors import BadFile, UnexpectedError, explained


def raised(action) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action()
    return caught.value


def test_what_hdf5_itself_cannot_follow_is_damage_and_what_is_not_there_is_our_fault(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.zeros(10)
    with h5py.File(tmp_path / "a.h5") as file:
        missing = raised(lambda: file["b"])
    assert isinstance(explained(missing, "a.h5"), UnexpectedError)
    raw = (tmp_path / "a.h5").read_bytes()
    for place in range(600, len(raw), 8):  # the tree of its members, somewhere
        (tmp_path / "b.h5").write_bytes(raw[:place] + bytes(8 * [255]) + raw[place + 8 :])
        try:
            with h5py.File(tmp_path / "b.h5") as file:
                file["a"][...]
        except Exception as error:
            if "doesn't exist" not in str(error):
                assert "truncated or damaged" in str(explained(error, "b.h5")), error  # noqa: PT017


@pytest.mark.parametrize(
    "action",
    [
        lambda folder: np.load(folder / "empty.npy"),
        lambda folder: np.load(folder / "short.npy"),
        lambda folder: np.load(folder / "short.npy", mmap_mode="r"),
        lambda folder: zipfile.ZipFile(folder / "short.npy"),
        lambda folder: zlib.decompress(b"no deflate"),
        lambda folder: struct.unpack("<I", b"abc"),
        lambda folder: json.loads("{'a"),
        lambda folder: b"\xff".decode("utf-8"),
        lambda folder: np.frombuffer(bytes(7), "f4"),
        lambda folder: np.zeros(7).reshape(2, 3),
        lambda folder: np.memmap(folder / "short.npy", "f8", "r", shape=(1000,)),
        lambda folder: h5py.File(folder / "short.h5"),
    ],
)
def test_what_ends_early_or_has_another_structure_is_damaged(action, tmp_path):
    (tmp_path / "empty.npy").write_bytes(b"")
    np.save(tmp_path / "short.npy", np.zeros(100))
    with h5py.File(tmp_path / "short.h5", "w") as file:
        file["a"] = np.zeros(1000)
    for path in (tmp_path / "short.npy", tmp_path / "short.h5"):
        path.write_bytes(path.read_bytes()[:500])
    error = explained(raised(lambda: action(tmp_path)), "a.npy", "NumPy .npy")
    assert isinstance(error, BadFile)
    assert str(error).startswith("a.npy cannot be read as NumPy .npy: truncated or damaged (")


@pytest.mark.parametrize("error", [KeyError("axes"), AttributeError("no size"), TypeError("truth value"), IndexError()])
def test_what_no_decoder_foresaw_is_named_with_its_place_and_is_to_be_reported(error, tmp_path, monkeypatch):
    def broken(path, lazy):
        raise error

    np.save(tmp_path / "a.npy", np.eye(4))
    monkeypatch.setitem(registry.FORMATS, ".npy", registry._Format("NumPy .npy", "NumPy .npy", broken))
    observed = raised(lambda: emcore.read(tmp_path / "a.npy"))
    assert isinstance(observed, UnexpectedError)
    assert observed.__cause__ is error
    for part in (
        str(tmp_path / "a.npy"),
        "NumPy .npy",
        type(error).__name__,
        str(error),
        "test_errors.py, line",
        "report",
    ):
        assert part in str(observed)
    assert "damaged" not in str(observed)


def test_a_missing_package_names_the_extra_or_itself():
    assert install("io") in str(explained(ModuleNotFoundError("No module", name="sparse"), "a.emd"))
    assert install("hdf5") in str(explained(ImportError("h5py is broken", name="h5py.h5f"), "a.emd"))
    assert "it needs netCDF4: pip install netCDF4" in str(
        explained(ModuleNotFoundError("No module", name="netCDF4"), "a.nc")
    )
    ours = ImportError(f"reading x needs Zarr: {install('zarr')}")
    assert explained(ours, "a.zarr") is ours


def test_a_plugin_a_partner_a_lock_and_a_permission_say_what_they_are():
    plugin = OSError("Can't synchronously read data (can't open directory: required filter 'blosc' is not registered)")
    assert isinstance(explained(plugin, "a.h5"), ImportError)
    assert "hdf5plugin" in str(explained(plugin, "a.h5"))
    partner = OSError("Can't open object (unable to open external file, external link file name = 'data_1.h5')")
    assert "a file that holds part of it is missing" in str(explained(partner, "a.h5"))
    lock = BlockingIOError(errno.EAGAIN, "unable to lock file")
    assert "another program has it open" in str(explained(lock, "a.h5"))
    refused = PermissionError(errno.EACCES, "Permission denied", "b.raw")
    assert str(explained(refused, "a.rpl")).endswith("no permission to read b.raw")
    gone = FileNotFoundError(errno.ENOENT, "No such file", "b.raw")
    assert "b.raw is missing, which holds part of it" in str(explained(gone, "a.rpl"))
    broken_disc = OSError(errno.EIO, "Input/output error")
    assert type(explained(broken_disc, "a.h5")) is OSError
    for error in (plugin, partner, lock, refused, gone, broken_disc):
        assert "damaged" not in str(explained(error, "a.h5"))


def test_a_variant_that_is_not_supported_and_too_little_memory_are_told_from_damage(tmp_path):
    assert "is a variant of MRC that is not supported (mode 9)" in str(
        explained(NotImplementedError("mode 9"), "a", "MRC")
    )
    assert "does not fit in memory" in str(explained(MemoryError(), "a.npy"))
    np.save(tmp_path / "a.npy", np.zeros(4))
    path = tmp_path / "huge.npy"
    path.write_bytes((tmp_path / "a.npy").read_bytes().replace(b"(4,), }" + 15 * b" ", b"(9999999999999,), }   "))
    assert path.read_bytes() != (tmp_path / "a.npy").read_bytes()
    with pytest.raises(ValueError, match=r"huge\.npy cannot be read as NumPy \.npy: truncated or damaged"):
        emcore.read(path)


def failure(read, path: Path) -> str:
    """How a file fails to be read, "" where it does not; other exceptions than those promised go on."""
    try:
        read(path)
    except (ValueError, OSError, ImportError, MemoryError) as error:
        return str(error)
    return ""


def files(folder: Path) -> dict[str, bytes]:
    """Small whole files of several kinds, as bytes by their endings."""
    data = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    np.save(folder / "a.npy", data)
    np.savez_compressed(folder / "a.npz", a=data, b=data[0])
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("a", data=data, compression="gzip", fletcher32=True)
    import tifffile

    tifffile.imwrite(folder / "a.tif", data, compression="zlib")
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return files(tmp_path_factory.mktemp("whole"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_is_an_error_that_names_it(data, whole, tmp_path):
    ending = data.draw(st.sampled_from(sorted(whole)))
    raw = bytearray(whole[ending])
    # Python before 3.11.9 cannot parse anything after a text like that of NumPy's header failed to be: not changed.
    first = {".npy": 128, ".npz": len(raw) - 1}.get(ending, 0)
    for place in data.draw(st.lists(st.integers(first, len(raw) - 1), max_size=5)):
        raw[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path / f"damaged{ending}"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    for read in (emcore.describe, emcore.read):
        said = failure(read, path)
        assert not said or str(path) in said


def test_no_exception_is_caught_without_saying_what_it_is():
    package = Path(emcore.__file__).parent
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "except:" not in text
        for after in text.split("except Exception")[1:]:
            handler = after.split("\n\n")[0]
            rest = re.search(r"\n +raise$", handler)  # what is not understood there goes on
            assert rest or "explained(" in handler or "internal error, please report it" in handler, path


def test_an_unexpected_error_is_one_line_in_the_terminal(tmp_path, monkeypatch, capsys):
    def broken(path, lazy):
        raise KeyError("axes")

    np.save(tmp_path / "a.npy", np.eye(4))
    monkeypatch.setitem(registry.FORMATS, ".npy", registry._Format("NumPy .npy", "NumPy .npy", broken))
    assert main(["info", str(tmp_path / "a.npy")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "unexpected KeyError" in said


def test_every_decoder_is_there_and_is_imported_only_for_its_files():
    source = Path(registry.__file__).read_text(encoding="utf-8")
    for module, name in re.findall(r'_decoder\("(\w+)", "(\w+)"\)', source):
        assert callable(getattr(import_module(f"emcore.io.formats.{module}"), name))
    for plugin in re.findall(r'_rosetta\("(\w+)"', source):
        assert callable(import_module(f"rsciio.{plugin}").file_reader)
    code = "import sys, emcore.cli; print([name for name in sys.modules if name.startswith('emcore.io.formats.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['emcore.io.formats.hdf5_zarr']")
