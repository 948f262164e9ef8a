"""Readings of damaged files of every format: real ones, and small ones written here of what none is at hand."""

import atexit
import contextlib
import os
import random
import shutil
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from emcore.io.registry import read_all

DATA = Path(os.environ.get("EMCORE_TEST_DATA", Path(__file__).parents[2] / "../shared/data")).resolve()
LARGEST = 2_000_000
"""Bytes of a real file that is damaged again and again."""
# Byte by byte as one that was cut, was sent as text, or lies on a disk that fails.
BYTES = (0, 1, 127, 128, 255)


def damaged(whole: bytes, numbers: random.Random) -> bytes:
    """A few bytes changed, in the head or anywhere; of every fifth the end missing."""
    data = bytearray(whole)
    reach = numbers.choice((min(len(data), 512), min(len(data), 4096), len(data)))
    for _ in range(numbers.choice((1, 3, 10, 100))):
        data[numbers.randrange(reach)] = numbers.choice((*BYTES, numbers.randrange(256)))
    return bytes(data[: numbers.randrange(len(data))] if numbers.randrange(5) == 0 else data)


def read(name: str, content: bytes, partners: dict[str, bytes]) -> list[Any]:
    """Every data set in it, values too."""
    with tempfile.TemporaryDirectory() as folder:
        for each, values in (partners | {name: content}).items():
            Path(folder, each).write_bytes(values)
        return [np.asarray(signal.data).shape for signal in read_all(Path(folder, name))]


def of_file(path: Path, numbers: random.Random) -> Callable[[], Any]:
    """Reads it damaged; what belongs to it, by its name, lies whole beside."""
    beside = [other for other in path.parent.glob(f"{path.stem}*") if other.is_file() and other != path]
    partners = {other.name: other.read_bytes() for other in beside if other.stat().st_size < LARGEST}
    return partial(read, path.name, damaged(path.read_bytes(), numbers), partners)


def everything() -> Iterator[tuple[str, Callable[[random.Random], Callable[[], Any]]]]:
    """Every file by name, and what makes a damaged reading of it."""
    real = [path for path in sorted(DATA.rglob("*")) if path.is_file() and 0 < path.stat().st_size < LARGEST]
    for path in (*(path for path in real if path.suffix not in (".md", ".hdr")), *written()):
        yield f"read:{path.name}", partial(of_file, path)


@cache
def written() -> tuple[Path, ...]:
    """Small files of the formats of which there are no real ones."""
    folder = Path(tempfile.mkdtemp(prefix="emcore-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    for name, write in WRITERS.items():
        with warnings.catch_warnings(), contextlib.suppress(ImportError):  # of an optional package
            warnings.simplefilter("ignore")
            write(folder / name, rng)
    return tuple(sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".raw"))


def _signal(data: Any, names: str, navigation: int) -> dict[str, Any]:
    """A signal as RosettaSciIO's writers take it."""
    axes = [
        {"name": name, "size": size, "scale": 0.5, "offset": 0.0, "units": "nm", "navigate": i < navigation,
         "index_in_array": i, "_type": "UniformDataAxis", "is_binned": False}
        for i, (size, name) in enumerate(zip(data.shape, names, strict=True))
    ]  # fmt: skip
    general = {"General": {"title": "test"}, "Signal": {"signal_type": ""}, "Acquisition_instrument": {"TEM": {}}}
    return {"data": data, "axes": axes, "metadata": general, "original_metadata": {}, "attributes": {"_lazy": False}}


def _rosetta(plugin: str, shape: tuple[int, ...], kind: str, navigation: int) -> Callable[[Path, Any], None]:
    def write(path: Path, rng: Any) -> None:
        writer = import_module(f"rsciio.{plugin}").file_writer
        data = rng.integers(0, 100, shape).astype(kind)
        writer(str(path), _signal(data, "zyxe"[-len(shape) :], navigation))

    return write


def _bytes(make: Callable[[Any], bytes]) -> Callable[[Path, Any], None]:
    return lambda path, rng: path.write_bytes(make(rng)) and None


def _zip(path: Path, rng: Any) -> None:
    """A Zarr store in one file."""
    head = '{"zarr_format": 3, "node_type": "%s", "attributes": {}%s}'
    about = (
        ', "shape": [4, 6], "data_type": "uint16", "chunk_grid": {"name": "regular", "configuration": {"chunk_shape"'
    )
    about += ': [4, 6]}}, "chunk_key_encoding": {"name": "default"}, "fill_value": 0, "codecs": [{"name": "bytes", '
    about += '"configuration": {"endian": "little"}}]'
    multiscales = '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "multiscales": [{'
    multiscales += '"axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}], "datasets": [{"path": "0"'
    multiscales += ', "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}]}]}}}'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zarr.json", multiscales)
        archive.writestr("0/zarr.json", head % ("array", about))
        archive.writestr("0/c/0/0", rng.integers(0, 99, (4, 6)).astype("<u2").tobytes())


def _picture(path: Path, rng: Any) -> None:
    from PIL import Image

    Image.fromarray(rng.integers(0, 255, (20, 24)).astype("u1")).save(path)


def _tiff(path: Path, rng: Any) -> None:
    import_module("tifffile").imwrite(
        path, rng.integers(0, 99, (3, 9, 8)).astype("u2"), photometric="minisblack", compression="zlib"
    )


def _prz(path: Path, rng: Any) -> None:
    about = '[{"type": "3D", "content.types": ["Energy", "ScanX", "ScanY"], "device.calib": ['
    about += '{"unit": "eV", "value": 0.5, "offset": 100.0}, {"unit": "nm", "value": 2.0, "offset": 0.0}, '
    about += '{"unit": "nm", "value": 2.0, "offset": 0.0}]}]'
    with path.open("wb") as file:
        np.savez_compressed(file, data=rng.random((3, 4, 20)), meta_data_json=about, file_format_version=2)


def _mrc(rng: Any) -> bytes:
    head = bytearray(1024)
    struct.pack_into("<4i", head, 0, 8, 6, 4, 6)
    struct.pack_into("<3i3f", head, 28, 8, 6, 4, 4.0, 3.0, 2.0)
    head[208:212] = b"MAP "
    return bytes(head) + rng.integers(0, 99, (4, 6, 8)).astype("<u2").tobytes()


def _sxm(rng: Any) -> bytes:
    table = "\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n\t14\tZ\tm\tboth\t1E-9\t0\n"
    head = ":NANONIS_VERSION:\n2\n:SCANIT_TYPE:\n              FLOAT            MSBFIRST\n"
    head += ":SCAN_PIXELS:\n       6       4\n"
    head += ":SCAN_RANGE:\n           3.0E-8           2.0E-8\n:SCAN_DIR:\ndown\n"
    return (
        f"{head}:DATA_INFO:\n{table}\n:SCANIT_END:\n\n\n".encode()
        + b"\x1a\x04"
        + rng.random(48).astype(">f4").tobytes()
    )


def _grid(rng: Any) -> bytes:
    head = 'Grid dim="3 x 2"\r\nGrid settings=1E-8;2E-8;9.0E-9;6.0E-9;0.0E+0\r\nSweep Signal="Bias (V)"\r\n'
    head += 'Fixed parameters="Sweep Start;Sweep End"\r\nExperiment parameters="X (m);Y (m);Z (m)"\r\n'
    head += '# Parameters (4 byte)=5\r\nExperiment size (bytes)=44\r\nPoints=11\r\nChannels="Current (A)"\r\n'
    head += "Delay before measuring (s)=0.0E+0\r\n:HEADER_END:\r\n"
    return head.encode() + rng.random((6, 16)).astype(">f4").tobytes()


def _wave(rng: Any) -> bytes:
    values = rng.random((3, 5)).astype("<f4")
    head = struct.pack("<hh13i", 5, 0, 320 + values.nbytes, *[0] * 12) + struct.pack("<ii", 0, 0)
    head += struct.pack("<IIIihh6sh32sii", 0, 0, 0, values.size, 2, 0, b"", 1, b"wave0", 0, 0)
    raw = bytearray((head + struct.pack("<4i", 5, 3, 0, 0) + struct.pack("<8d", *[1] * 4, *[0] * 4)).ljust(384, b"\0"))
    struct.pack_into("<H", raw, 2, -sum(struct.unpack("<192h", raw)) & 0xFFFF)
    return bytes(raw) + values.tobytes()


def _spd(rng: Any) -> bytes:
    head = b"MAPSPECTRA_DATA".ljust(16, b"\0") + struct.pack("<8i", 1, 12, 4, 3, 100, 2, 1068, 1)
    return head.ljust(1068, b"\0") + rng.integers(0, 50, (3, 4, 100)).astype("<u2").tobytes()


def _patterns(rng: Any) -> bytes:
    head = struct.pack("<4I", 3, 7, 5, 42) + struct.pack("<BIIBdd", 1, 3, 2, 0, 0.5, 1.5)
    return head + rng.integers(0, 200, (6, 5, 7)).astype("<u2").tobytes()


WRITERS: dict[str, Callable[[Path, Any], None]] = {
    "small_tvips_000.tvips": _rosetta("tvips", (4, 8, 9), "u2", 1),
    "small_sur.sur": _rosetta("digitalsurf", (6, 7), "i4", 0),
    "small_msa.msa": _rosetta("msa", (50,), "f8", 0),
    "small_csv.csv": lambda path, rng: np.savetxt(
        path, rng.integers(0, 99, (20, 3)), "%g", ",", header="energy (eV),a,b", comments=""
    ),
    "small_emd.emd": _rosetta("emd", (3, 4, 20), "u2", 2),
    "small_unf.unf": _rosetta("semper", (6, 7), "f4", 0),
    "small_nxs.nxs": _rosetta("nexus", (3, 4, 20), "u2", 2),
    "small_mrcz.mrcz": _rosetta("mrcz", (4, 6, 8), "f4", 1),
    "small_rpl.rpl": _rosetta("ripple", (3, 4, 20), "u2", 2),
    "small_tif.tif": _tiff,
    "small_npy.npy": lambda path, rng: np.save(path, rng.random((3, 4, 5))),
    "small_npz.npz": lambda path, rng: np.savez_compressed(path, a=rng.random((3, 4)), b=rng.random(5)),
    "small_prz.prz": _prz,
    "small_png.png": _picture,
    "small_jpg.jpg": _picture,
    "small_ozx.ozx": _zip,
    "small_mrc.mrc": _bytes(_mrc),
    "small_sxm.sxm": _bytes(_sxm),
    "small_3ds.3ds": _bytes(_grid),
    "small_ibw.ibw": _bytes(_wave),
    "small_spd.spd": _bytes(_spd),
    "small_up2.up2": _bytes(_patterns),
}  # fmt: skip

CALLS = dict(everything())
