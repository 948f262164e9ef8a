"""Files of FEI's TIA: .ser, whose elements are images, patterns or spectra, and .emi, whose data are in .ser files.

A .ser file has a header, the sizes and steps of a scan or a series, and where each element begins; an element has its
own calibration in SI units without a name, its values, and a tag of when and often where it was recorded (the layout
was described by C. Boothroyd). Elements that were never recorded, since the acquisition was stopped, are not in the
file. An .emi file names its .ser files by number.
"""

import math
import re
import struct
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal, name_axes, tidy_axes
from emcore.core.units import RECIPROCAL, kind_of
from emcore.io.errors import BadFile
from emcore.io.instrument import Target, about, with_mapped

_SER = b"II\x97\x01"
_SPECTRA, _PICTURES = 0x4120, 0x4122
_POSITIONS = 0x4142  # tags that say where; 0x4152 are those that only say when
_TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8", "c8", "c16")
# No picture has a step of more than this in metres, no pattern one of less than that in 1/m; between them lies what TIA
# writes where it knows nothing, a step of 1.
_LARGEST, _SMALLEST = 1e-4, 1e3
_FINEST_CHANNEL = 1e-6  # of a spectrum, in eV: below, a profile along so many metres is meant


def _date(text: str) -> dict[str, str]:
    date = datetime.strptime(text, "%a %b %d %H:%M:%S %Y")
    return {"date": date.date().isoformat(), "time": date.time().isoformat()}


# What an .emi says by its own names, and in units of its own: kV, m, um, degrees.
_MAPPED: dict[str, Target] = {
    "High tension": ("Acquisition_instrument.TEM.beam_energy", float),
    "Microscope": ("Acquisition_instrument.TEM.microscope", lambda text: text.removeprefix("Microscope ")),
    "Mode": ("Acquisition_instrument.TEM.acquisition_mode", lambda text: "STEM" if "STEM" in text else "TEM"),
    "Magnification": ("Acquisition_instrument.TEM.magnification", float),
    "Camera length": ("Acquisition_instrument.TEM.camera_length", lambda text: 1e3 * float(text)),
    "Stage A": ("Acquisition_instrument.TEM.Stage.tilt_alpha", float),
    "Stage B": ("Acquisition_instrument.TEM.Stage.tilt_beta", float),
    "Stage X": ("Acquisition_instrument.TEM.Stage.x", lambda text: 1e-3 * float(text)),
    "Stage Y": ("Acquisition_instrument.TEM.Stage.y", lambda text: 1e-3 * float(text)),
    "Stage Z": ("Acquisition_instrument.TEM.Stage.z", lambda text: 1e-3 * float(text)),
    "CameraNamePath": ("Acquisition_instrument.TEM.Detector.Camera.name", None),
    "AcquireDate": ("General", _date),
}
_EXPOSURE = ("Acquisition_instrument.TEM.dwell_time", "Acquisition_instrument.TEM.Detector.Camera.exposure")


@dataclass(frozen=True)
class _Dimension:
    size: int
    offset: float
    delta: float
    element: int
    description: str
    units: str


@dataclass(frozen=True)
class _Header:
    pictures: bool
    tags: int
    total: int
    valid: int
    dimensions: tuple[_Dimension, ...]
    starts: NDArray[np.int64]  # of each valid element, in bytes
    tag_starts: NDArray[np.int64]


def read_tia(path: Path, lazy: bool) -> list[Signal]:
    """TIA .ser, and every .ser file of an .emi.

    Raises
    ------
    ValueError
        A file that is cut, holds no element, or an .emi without any of its .ser files beside it.
    """
    with path.open("rb") as opened:
        if opened.read(4) == _SER:
            signal = _read_ser(path, lazy)
            described = _emi_beside(path)
            return [_with_described(signal, path, described.read_bytes()) if described else signal]
    data = path.read_bytes()
    files, missing = _partners(path, data)
    if not files:
        wanted = " and ".join(missing or [f"{path.stem}_1.ser"])
        raise BadFile(f"{path} holds no data itself: they are in {wanted}, which must lie beside it")
    notes = [f"{name} is not beside {path.name}: what is in it is missing" for name in missing]
    signals = []
    for file in files:
        try:
            signals.append(_with_described(_read_ser(file, lazy), file, data))
        except _NoElementError as error:
            if len(files) == 1:
                raise
            notes.append(str(error))
    return [replace(signal, notes=(*signal.notes, *notes)) for signal in signals]


class _NoElementError(BadFile):
    """A .ser file of which nothing was recorded."""


def _partners(path: Path, data: bytes) -> tuple[list[Path], list[str]]:
    """The .ser files beside an .emi, and the names of those that it names and that are not there."""
    beside = {p.name.lower(): p for p in path.parent.iterdir() if p.suffix.lower() == ".ser"}
    observed = {}
    for name, file in beside.items():
        number = re.fullmatch(re.escape(path.stem.lower()) + r"_(\d+)\.ser", name)
        if number:
            observed[int(number[1])] = file
    named = sorted({int(number) for number in re.findall(rb"_(\d+)\.ser", data)})
    alone = beside.get(path.stem.lower() + ".ser")  # the only one, renamed
    if not observed and alone is not None and len(named) < 2:
        return [alone], []
    missing = [f"{path.stem}_{number}.ser" for number in named if number not in observed]
    return [observed[number] for number in sorted(observed)], missing


def _emi_beside(path: Path) -> Path | None:
    """The .emi that describes a .ser file."""
    stems = (re.sub(r"_\d+$", "", path.stem).lower(), path.stem.lower())
    return next((p for p in path.parent.iterdir() if p.suffix.lower() == ".emi" and p.stem.lower() in stems), None)


def _with_described(signal: Signal, path: Path, data: bytes) -> Signal:
    """A signal with what the .emi says of it, in XML behind the name of its .ser file."""
    number = re.search(r"_\d+$", path.stem)
    start = max(data.find(f"{number[0]}.ser".encode()), 0) if number else 0
    start = max(data.find(b"<ObjectInfo>", start), 0)
    text = data[start : data.find(b"</ObjectInfo>", start)].decode("utf-8", "replace")
    said = dict(re.findall(r"<Label>([^<]*)</Label>\s*<Value>([^<]*)</Value>", text))
    said |= dict(re.findall(r"<(AcquireDate|CameraNamePath|DwellTimePath)>([^<]*)<", text))
    known = with_mapped({}, said, _MAPPED | {"DwellTimePath": (_EXPOSURE["CameraNamePath" in said], float)})
    patterns = len(signal.axes) > 1 and kind_of(signal.axes[-1].units) == RECIPROCAL
    kind = "electron_diffraction" if patterns else "EDS_TEM" if "<EnergyResolution>" in text else ""
    return replace(signal, metadata=signal.metadata | about(known | {"Signal": {"signal_type": kind}}))


def _read_ser(path: Path, lazy: bool) -> Signal:
    buffer = np.memmap(path, np.uint8, "r")
    try:
        header = _header(path, buffer)
        data, inside = _elements(path, buffer, header)
    except (struct.error, IndexError) as error:
        raise _cut(path) from error
    positions = _positions(buffer, header)
    scan, note = _scan(header, positions)
    shape = tuple(axis.size for axis in scan)
    if header.valid < math.prod(shape):  # a map that was stopped: the rest is empty
        filled = np.zeros((math.prod(shape), *data.shape[1:]), data.dtype)
        filled[: header.valid] = data
        data = filled
    if header.pictures:
        data = data[:, ::-1]  # the first row in the file is the lowest
    values = data if lazy else np.ascontiguousarray(data)
    axes = tidy_axes(name_axes((*scan, *inside)))
    return Signal(values.reshape(shape + data.shape[1:]), axes, title=path.stem, notes=note, flagged=True)


def _cut(path: Path) -> BadFile:
    return BadFile(f"{path} cannot be read as TIA .ser: truncated")


def _header(path: Path, buffer: Any) -> _Header:
    version, kind, tags, total, valid = struct.unpack_from("<HIIII", buffer, 4)
    if kind not in (_SPECTRA, _PICTURES):
        raise BadFile(f"{path} cannot be read as TIA .ser: elements of type {kind:#x} are neither spectra nor pictures")
    valid = min(valid, total)
    if not valid:
        raise _NoElementError(
            f"{path} holds none of its {total} elements: nothing was recorded, or it is a single spectrum, which TIA "
            "keeps in the .emi file in a form that is not read (save it as .msa there)"
        )
    pointer = "<u8" if version > 0x210 else "<u4"
    width = int(pointer[2])
    (where, count), at = struct.unpack_from("<QI" if width == 8 else "<II", buffer, 22), 26 + width
    dimensions = []
    for _ in range(count):
        size, offset, delta, element, length = struct.unpack_from("<IddII", buffer, at)
        description, at = bytes(buffer[at + 28 : at + 28 + length]), at + 28 + length
        (length,) = struct.unpack_from("<I", buffer, at)
        units, at = bytes(buffer[at + 4 : at + 4 + length]), at + 4 + length
        text = description.decode("utf-8", "replace"), units.decode("utf-8", "replace")
        dimensions.append(_Dimension(size, offset, delta, element, *text))
    if where + width * (total + valid) > buffer.size:
        raise _cut(path)
    offsets = np.frombuffer(buffer, pointer, total + valid, where).astype(np.int64)
    return _Header(kind == _PICTURES, tags, total, valid, tuple(dimensions), offsets[:valid], offsets[total:])


def _elements(path: Path, buffer: Any, header: _Header) -> tuple[NDArray[Any], list[Axis]]:
    """The values of all valid elements in their order, mapped where they lie evenly, and the axes of one."""
    form, at = ("<ddIddIHII", 6) if header.pictures else ("<ddIHI", 3)
    head = struct.calcsize(form)
    first = struct.unpack_from(form, buffer, header.starts[0])
    code, shape = first[at], first[:at:-1]
    if not 1 <= code <= len(_TYPES):
        raise BadFile(f"{path} cannot be read as TIA .ser: values of type {code} are not known")
    item = np.dtype((f"<{_TYPES[code - 1]}", shape))
    if int(header.starts.max()) + head + item.itemsize > buffer.size or int(header.starts.min()) < 0:
        raise _cut(path)
    kinds = (struct.unpack_from(form, buffer, start)[at:] for start in header.starts)
    other = next((i for i, kind in enumerate(kinds) if kind != first[at:]), None)
    if other is not None:
        raise BadFile(f"{path} holds elements of different size or type: element {other} is not like the first")
    steps = np.unique(np.diff(header.starts))
    apart = int(steps[0]) if steps.size == 1 else head + item.itemsize
    start = int(header.starts[0])
    if steps.size < 2 and apart >= head + item.itemsize and start + apart * header.valid <= buffer.size:
        record = np.dtype({"names": ["data"], "formats": [item], "offsets": [head], "itemsize": apart})
        values: NDArray[Any] = np.memmap(path, record, "r", start, (header.valid,))["data"]
    else:
        each = (np.frombuffer(buffer, item.base, math.prod(shape), int(at) + head) for at in header.starts)
        values = np.stack(list(each)).reshape(header.valid, *shape)
    if not header.pictures:
        return values, [_channels(shape[0], *first[:3])]
    return values, [_side("y", shape[0], *first[3:6]), _side("x", shape[1], *first[:3])]


def _side(name: str, size: int, start: float, step: float, element: int) -> Axis:
    if not math.isfinite(step) or step == 0 or _LARGEST <= abs(step) <= _SMALLEST:
        return Axis(name, size)
    units, factor = ("m", 1.0) if abs(step) < _LARGEST else ("1/nm", 1e-9)
    return Axis(name, size, step * factor, (start - element * step) * factor, units)


def _channels(size: int, start: float, step: float, element: int) -> Axis:
    name, units = ("Energy", "eV") if abs(step) > _FINEST_CHANNEL else ("position", "m")
    return Axis(name, size, step, start - element * step, units)


def _positions(buffer: Any, header: _Header) -> NDArray[np.float64] | None:
    """x and y of every element, where its tags say so."""
    if header.tags != _POSITIONS or int(header.tag_starts.max()) + 24 > buffer.size:
        return None
    observed = [struct.unpack_from("<H6xdd", buffer, int(start)) for start in header.tag_starts]
    if any(tag != _POSITIONS for tag, _, _ in observed):  # some files have offsets that lead nowhere
        return None
    places = np.array([place for _, *place in observed])
    return places if np.isfinite(places).all() else None


def _scan(header: _Header, positions: NDArray[np.float64] | None) -> tuple[list[Axis], tuple[str, ...]]:
    """The axes along which elements follow each other, the slowest first, and what is to be said of them."""
    sides = [d for d in header.dimensions if d.size != 1]
    stopped = f"the acquisition was stopped: {header.valid} of {header.total} elements were recorded"
    if math.prod(d.size for d in sides) != header.total:
        sides = []
    if len(sides) < 2:
        note = () if header.valid == header.total else (stopped,)
        if header.valid == 1:
            return [], note
        side = sides[0] if sides else _Dimension(header.valid, 0.0, 1.0, 0, "", "")
        name = "y" if positions is not None and np.ptp(positions[:, 0]) < np.ptp(positions[:, 1]) else "x"
        return [_of_dimension(replace(side, size=header.valid), name, header.pictures)], note
    note = () if header.valid == header.total else (f"{stopped}, the other positions are empty",)
    fast, along = _fastest(sides, positions)
    slow = [side for side in reversed(sides) if side is not fast]
    names = ["y", "x"] if along == "x" else ["x", "y"]
    names = [""] * (len(sides) - 2) + names
    return [_of_dimension(d, n, header.pictures) for d, n in zip((*slow, fast), names, strict=True)], note


def _fastest(sides: list[_Dimension], positions: NDArray[np.float64] | None) -> tuple[_Dimension, str]:
    """The dimension along which elements follow each other, which is the first unless positions tell otherwise."""
    if positions is None or len(positions) < 2:
        return sides[0], "x"
    steps = np.diff(positions, axis=0)
    along = int(np.abs(steps[0]).argmax())
    # Where the next line begins, the step is another one.
    turns = np.flatnonzero(np.abs(steps[:, along] - steps[0, along]) > 0.5 * abs(steps[0, along]))
    line = int(turns[0]) + 1 if turns.size else len(positions)
    fast = next((side for side in sides if side.size == line), sides[0])
    return fast, "xy"[along]


def _of_dimension(side: _Dimension, name: str, pictures: bool) -> Axis:
    if side.units != "meters":
        names = {"number": "frame", "time": "time", "": "frame"}
        name = names.get(side.description.lower(), side.description)
        return Axis(name, side.size, side.delta or 1.0, side.offset, side.units or "px", navigation=True)
    start = side.offset - side.element * side.delta
    return Axis(f"scan_{name}" if pictures else name, side.size, side.delta, start, "m", navigation=True)
