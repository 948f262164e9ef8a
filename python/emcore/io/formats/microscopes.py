"""More of what RosettaSciIO decodes: what it takes for granted is checked first, what it leaves out is put right.

MRC, Ripple, EMPAD, EDAX maps, TVIPS recordings, JEOL's EDS, Panta Rhei, and single spectra.
"""

import math
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.errors import BadFile
from emcore.io.formats.rosetta import from_rosetta, rosetta

_OF_FEI = 1024 * 128  # bytes of the header in which FEI has the pixel size
_MRC_TYPES = {0: "u1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}


def read_mrc(path: Path, lazy: bool) -> list[Signal]:
    """MRC in either byte order, compressed by MRCZ or not."""
    with path.open("rb") as file:
        head = file.read(1024)
    if len(head) < 1024:
        raise BadFile(f"{path} cannot be read as MRC: truncated inside its header")
    # In the wrong byte order small numbers are large ones.
    order = min("<>", key=lambda o: max(abs(number) for number in struct.unpack_from(f"{o}4i", head)))
    nx, ny, nz, mode = struct.unpack_from(f"{order}4i", head)
    (extended,) = struct.unpack_from(f"{order}i", head, 92)
    if mode >= 1000:  # MRCZ adds its codec, in thousands
        return [from_rosetta(item) for item in rosetta("mrcz", path, False)]
    if mode not in _MRC_TYPES:
        raise BadFile(f"{path} is MRC of mode {mode}, which is not supported: {', '.join(map(str, _MRC_TYPES))} are")
    size = np.dtype(_MRC_TYPES[mode]).itemsize
    needed, there = 1024 + extended + nx * ny * nz * size, path.stat().st_size
    if min(nx, ny, nz) < 1 or extended < 0 or there < needed:
        raise BadFile(f"{path} cannot be read as MRC: truncated or damaged ({there} bytes, its header says {needed})")
    (signal,) = (from_rosetta(item) for item in rosetta("mrc", path, True, endianness=order))
    signal = replace(signal, axes=tuple(_mrc_axis(axis, head, order) for axis in signal.axes))
    if math.prod(signal.shape) != nx * ny * nz:  # a scan whose positions are told beside it
        return [signal] if lazy else [replace(signal, data=np.asarray(signal.data))]
    # RosettaSciIO reads the header in that order, the values not.
    values = np.memmap(path, f"{order}{_MRC_TYPES[mode]}", "r", 1024 + extended, signal.shape)
    return [replace(signal, data=values if lazy and order == "<" else np.array(values, dtype=_MRC_TYPES[mode]))]


def _mrc_axis(axis: Axis, head: bytes, order: str) -> Axis:
    """An axis with the calibration that the header has, where RosettaSciIO supposes one."""
    if axis.name == "z":
        (group,) = struct.unpack_from(f"{order}i", head, 88)  # the space group of a volume, 0 for a stack of pictures
        return replace(axis, units="nm") if group > 0 else Axis("frame", axis.size, navigation=True)
    if axis.name not in ("x", "y") or struct.unpack_from(f"{order}i", head, 92)[0] == _OF_FEI:
        return axis
    at = 4 * "xy".index(axis.name)
    (sampling,) = struct.unpack_from(f"{order}i", head, 28 + at)
    (cell,) = struct.unpack_from(f"{order}f", head, 40 + at)
    if sampling:
        return axis
    return replace(axis, scale=cell / 10 / axis.size) if cell > 0 else Axis(axis.name, axis.size)  # as MRCZ leaves it


def read_ripple(path: Path, lazy: bool) -> list[Signal]:
    """Ripple: a text .rpl that describes a .raw beside it, either of which may be named; or the .raw of an EMPAD."""
    description = _beside(path, ".rpl")
    if description is None:
        return _read_empad(path, lazy)
    if _beside(path, ".raw") is None:
        raise BadFile(f"{path} describes data that are missing: they are in {path.stem}.raw, which must lie beside it")
    text = description.read_text(encoding="latin-1").lower()
    signals = []
    for signal in (from_rosetta(item) for item in rosetta("ripple", description, lazy)):
        axes = signal.axes
        if "ev-per-chan" in text and "depth-units" not in text:  # the one calibration that the format itself has
            axes = tuple(replace(axis, name="energy", units="eV") if axis.name == "depth" else axis for axis in axes)
        signals.append(replace(signal, axes=axes))
    return signals


def _beside(path: Path, ending: str) -> Path | None:
    if path.suffix.lower() == ending:
        return path
    return next((p for p in path.parent.glob("*") if p.stem == path.stem and p.suffix.lower() == ending), None)


_EMPAD_ROWS, _EMPAD_SIDE = 130, 128  # two rows below every pattern are the detector's own


def _read_empad(path: Path, lazy: bool) -> list[Signal]:
    description, frame = _beside(path, ".xml"), 4 * _EMPAD_ROWS * _EMPAD_SIDE
    if description is not None:
        return [from_rosetta(item) for item in rosetta("empad", description, lazy)]
    count, over = divmod(path.stat().st_size, frame)
    if over or not count:
        raise BadFile(
            f"{path} holds bare values, which say nothing about their shape: put the {path.stem}.rpl (Ripple) or "
            f"{path.stem}.xml (EMPAD) that was written with it beside it"
        )
    data = np.memmap(path, "<f4", "r", shape=(count, _EMPAD_ROWS, _EMPAD_SIDE))[:, :_EMPAD_SIDE]
    side = math.isqrt(count)
    shape = (side, side) if side * side == count else (count,)
    names = ("y", "x")[-len(shape) :]
    axes = (*(Axis(n, s, navigation=True) for n, s in zip(names, shape, strict=True)), Axis("ky", 128), Axis("kx", 128))
    note = f"{path.stem}.xml is missing: taken for EMPAD patterns, {' x '.join(map(str, shape))} positions"
    data = data.reshape(*shape, _EMPAD_SIDE, _EMPAD_SIDE) if lazy else np.array(data).reshape(*shape, 128, 128)
    return [Signal(data, axes, notes=(note,))]


def read_empad(path: Path, lazy: bool) -> list[Signal]:
    """The .xml of an EMPAD, whose patterns are in the .raw that it names; or one of Jobin Yvon's."""
    with path.open("rb") as file:
        head = file.read(4096)
    if b"LSX" in head:
        return [from_rosetta(item) for item in rosetta("jobinyvon", path, False)]
    if b"pix_x" not in path.read_bytes() and b"scan_size" not in path.read_bytes():
        raise BadFile(f"{path} is an .xml of another kind than EMPAD's and Jobin Yvon's, which are read")
    return [from_rosetta(item) for item in rosetta("empad", path, lazy)]


def read_prz(path: Path, lazy: bool) -> list[Signal]:
    """Panta Rhei .prz; what older versions pickled beside the data, their calibration, is left out."""
    with np.load(path, allow_pickle=False) as archive:
        pickled = "meta_data_json" not in archive.files
        packed = any(info.compress_type for info in archive.zip.infolist() if info.filename == "data.npy")
    note = "the calibration is pickled, which is never unpickled: export it from Panta Rhei 24.03 or newer"
    signals = [from_rosetta(item) for item in rosetta("pantarhei", path, lazy and not packed)]
    return [replace(signal, notes=(*signal.notes, *(note,) * pickled)) for signal in signals]


def read_tvips(path: Path, lazy: bool) -> list[Signal]:
    """A recording of TVIPS, in one file or in parts that are numbered from 000 on."""
    part = re.fullmatch(r"(.+)_(\d{3})", path.stem)
    if part is None:
        raise BadFile(f"{path} has no number, which recordings of TVIPS have: rename it to {path.stem}_000.tvips")
    if int(part[2]):
        first = path.with_name(f"{part[1]}_000{path.suffix}")
        raise BadFile(f"{path} is part {int(part[2])} of a recording, which is read from its first, {first.name}, on")
    with path.open("rb") as file:
        head = file.read(52)
    size, version, nx, ny, bits = struct.unpack_from("<5I", head) if len(head) == 52 else (0,) * 5
    if size != 256 or not nx * ny or path.stat().st_size <= size:
        raise BadFile(f"{path} cannot be read as TVIPS: damaged or mislabelled (no recording has such a header)")
    if version not in (1, 2) or bits not in (8, 16, 32):
        raise BadFile(f"{path} is a TVIPS recording of version {version}, {bits} bits: 1 and 2, 8 to 32 bits are read")
    between = 12 if version == 1 else struct.unpack_from("<I", head, 48)[0]
    count, over = divmod(path.stat().st_size - size, between + nx * ny * bits // 8)
    if over:
        raise BadFile(f"{path} cannot be read as TVIPS: truncated inside frame {count}")
    if (
        count == 1 and not path.with_name(f"{part[1]}_001{path.suffix}").exists()
    ):  # RosettaSciIO asks for the next's time
        data = np.fromfile(path, f"<u{bits // 8}", nx * ny, offset=size + between).reshape(ny, nx)
        return [Signal(data, (Axis("y", ny), Axis("x", nx)))]
    (signal,) = (from_rosetta(item) for item in rosetta("tvips", path, lazy))
    # Most recordings have the pixel of the camera there, in whole nanometres.
    bare = [axis.units == "1/nm" or (axis.units == "nm" and axis.scale >= 1000) for axis in signal.axes]
    axes = tuple(
        Axis(a.name, a.size, navigation=a.navigation) if b else a for a, b in zip(signal.axes, bare, strict=True)
    )
    note = "the header has the pixel size of the camera only: pixels of the patterns are not calibrated"
    return [replace(signal, axes=axes, notes=(*signal.notes, *(note,) * any(bare)))]


def read_edax(path: Path, lazy: bool) -> list[Signal]:
    """EDAX .spd and .lsd, calibrated by the .spc beside them, and .spc by itself."""
    if path.suffix.lower() == ".spc":
        return [from_rosetta(item) for item in rosetta("edax", path, False)]
    with path.open("rb") as file:
        head = file.read(1068)
    if len(head) < 1068:
        raise BadFile(f"{path} cannot be read as EDAX .spd: truncated inside its header")
    signals = []
    for item in rosetta("edax", path, lazy):
        signal = from_rosetta(item)
        notes: tuple[str, ...] = ()
        if "spc_header" not in item["original_metadata"]:
            notes = (f"{path.stem}.spc is missing, which has the energy of the channels: they are only counted",)
            signal = replace(signal, axes=(*signal.axes[:-1], Axis("channel", signal.shape[-1])))
        signals.append(replace(signal, notes=(*signal.notes, *notes)))
    return signals


def read_jeol(path: Path, lazy: bool) -> list[Signal]:
    """JEOL .asw with the files that it names, .pts and .eds; counts to 65535."""
    if path.suffix.lower() == ".eds":
        return [from_rosetta(item) for item in rosetta("jeol", path, False)]
    items = rosetta("jeol", path, False, SI_dtype=np.uint16)
    if not items:
        raise BadFile(f"{path} names no data that are read: maps (.pts), pictures (.img, .map) and spectra (.eds) are")
    return [from_rosetta(item) for item in items]
