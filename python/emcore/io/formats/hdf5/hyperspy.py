"""HyperSpy's own files, of every version, HDF5 (.hspy, .hdf5) and Zarr (.zspy): signals in `Experiments`."""

import ast
import operator
import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5.arrays import Access, axis_of_values, is_numeric, number, text
from emcore.io.instrument import NOT_UNDERSTOOD, about

# The newest version of the format that is known here.
_KNOWN = (3, 3)
_OPERATORS: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS = {name: getattr(np, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "abs")}


def is_hyperspy(root: Any) -> bool:
    """Whether HyperSpy wrote a file: it says so, or has signals where the oldest versions, which do not, have them."""
    written = text(root.attrs.get("file_format")).lower() in ("hyperspy", "zspy")
    return "Experiments" in root and (written or bool(_experiments(root)))


def _experiments(root: Any) -> dict[str, Any]:
    observed = {name: root["Experiments"][name] for name in root["Experiments"]}
    return {name: each for name, each in observed.items() if not hasattr(each, "dtype") and "data" in each}


def read_hyperspy(root: Any, path: Any, access: Access) -> list[Signal]:
    """Every signal of a HyperSpy file; one of a newer format is read as far as it is laid out as the known ones."""
    version = text(str(text(root.attrs.get("file_format_version")) or root.attrs.get("file_format_version") or ""))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    newer = numbers > _KNOWN
    said = f"written by a newer HyperSpy (format {version}; {'.'.join(map(str, _KNOWN))} is the newest known here)"
    experiments = _experiments(root)
    signals = []
    for name, group in experiments.items():
        data = group["data"]
        if not is_numeric(data):
            continue
        try:
            axes, flagged = _axes(group)
        except (KeyError, ValueError) as error:
            what = said if newer else f"damaged: its axes cannot be understood ({error})"
            raise BadFile(f"{path} is {what}: save the signal again with HyperSpy, or as another format") from error
        signals.append(_signal(group, name, axes, flagged, access))
    if newer and not signals:
        raise BadFile(f"{path} is {said}, in which no signal is found: save it with HyperSpy as another format")
    if experiments and not signals:
        raise BadFile(f"{path} holds no signal that can be read: what is in it is ragged, or holds no numbers")
    if newer:
        return [replace(signal, notes=(*signal.notes, f"the file was {said}")) for signal in signals]
    return signals


def _signal(group: Any, name: str, axes: list[Axis], flagged: bool, access: Access) -> Signal:
    general = _described(group, "General")
    title = text(general.get("title") or general.get("name")) or ("" if name == "__unnamed__" else name)
    signal = {key: text(value) for key, value in _described(group, "Signal").items()}
    dates = {key: text(general.get(key)) for key in ("date", "time")}
    try:
        instrument = _instrument(group)
    except (*NOT_UNDERSTOOD, OSError, RuntimeError):  # of other types than metadata have; nothing depends on it
        instrument = {}
    metadata = about({"General": dates, "Signal": signal, **instrument})
    return access.signal(group["data"], axes, title, flagged, metadata)


def _instrument(group: Any) -> dict[str, Any]:
    """What a signal's metadata say of microscope, detector and sample."""
    known: dict[str, Any] = {}
    for place in (group[name] for name in ("mapped_parameters", "metadata") if name in group):
        known |= {name: _tree(place[name]) for name in ("Acquisition_instrument", "Sample") if name in place}
        earlier = {name: _tree(place[name]) for name in ("TEM", "SEM") if name in place}  # before format 1.2
        for column in earlier.values():
            column["Detector"] = {kind: column.pop(kind) for kind in ("EDS", "EELS") if kind in column}
        known |= {"Acquisition_instrument": earlier} if earlier else {}
    for column in known.get("Acquisition_instrument", {}).values():
        if isinstance(column, dict) and "tilt_stage" in column:  # before format 3.0
            column.setdefault("Stage", {})["tilt_alpha"] = column.pop("tilt_stage")
    return known


# No metadata are deeper, and no list of them is longer.
_DEEPEST, _LONGEST = 8, 1000


def _tree(group: Any, depth: int = 0) -> dict[str, Any]:
    """A group of metadata as a dictionary; a list is one whose keys are its places."""
    tree: dict[str, Any] = {}
    for key, value in dict(group.attrs).items():
        empty = re.match(r"_(?:list|tuple)_empty_(.*)", key)
        nothing = isinstance(value, str | bytes) and not text(value)
        tree[empty[1] if empty else key] = [] if empty else None if nothing else value
    for name in group if depth < _DEEPEST else ():
        item, listed = group[name], re.match(r"_(?:list|tuple)_(?:\d+_)?(.*)", name)
        if hasattr(item, "dtype"):
            short = int(np.prod(item.shape)) <= _LONGEST
            tree[listed[1] if listed else name] = np.asarray(item[()]) if short else None
        else:
            inner = _tree(item, depth + 1)
            tree[listed[1] if listed else name] = [inner[key] for key in sorted(inner)] if listed else inner
    return tree


def _described(group: Any, section: str) -> dict[str, Any]:
    """A section of a signal's metadata, which lay flat and had another name before format 1.2."""
    observed: dict[str, Any] = {}
    for place in ("mapped_parameters", "metadata"):
        if place in group:
            observed |= dict(group[place].attrs)
            observed |= dict(group[place][section].attrs) if section in group[place] else {}
    return observed


def _axes(group: Any) -> tuple[list[Axis], bool]:
    """The axes of a signal in the order of its array, and whether the file says which are navigation."""
    shape = tuple(group["data"].shape)
    listed = f"_list_{len(shape)}_axes"
    if listed in group:
        within = group[listed]
        groups = [
            within[name] for name in sorted(within, key=lambda name: int("0" + "".join(re.findall(r"\d+", name))))
        ]
    else:
        groups = [group[f"axis-{i}"] for i in range(len(shape))]
    places = [number(each.attrs.get("index_in_array")) for each in groups]
    if sorted(places) == list(range(len(shape))):
        groups = [groups[places.index(i)] for i in range(len(shape))]
    if len(groups) != len(shape):
        raise ValueError(f"{len(groups)} axes for the shape {shape}")
    flags = [_flag(each.attrs.get("navigate")) for each in groups]
    record = text(_described(group, "Signal").get("record_by")).lower()
    inside = {"spectrum": 1, "image": 2}.get(record)
    flagged = None not in flags or inside is not None
    if None in flags:
        flags = [i < len(shape) - (inside or 2) for i in range(len(shape))]
    axes = [_axis(each, size, bool(flag)) for each, size, flag in zip(groups, shape, flags, strict=True)]
    return axes, flagged


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(np.asarray(value).ravel()[0])


def _axis(group: Any, size: int, navigation: bool) -> Axis:
    said = dict(group.attrs)
    name, units = text(said.get("name")), text(said.get("units"))
    if "axis" in group:
        return axis_of_values(name, size, np.asarray(group["axis"][...]), units, navigation)
    if "axis" in said:
        return axis_of_values(name, size, np.asarray(said["axis"]), units, navigation)
    if text(said.get("expression")) and "x" in group:
        return axis_of_values(name, size, _function(group, size), units, navigation)
    return Axis(name, size, number(said.get("scale"), 1.0), number(said.get("offset"), 0.0), units or "px", navigation)


def _function(group: Any, size: int) -> NDArray[Any]:
    """The points of a functional axis: its expression, which is arithmetic, of x and of its parameters."""
    inner = group["x"]
    x: NDArray[Any]
    if hasattr(inner, "dtype"):
        x = np.asarray(inner[...], dtype=np.float64)
    elif "axis" in inner:
        x = np.asarray(inner["axis"][...], dtype=np.float64)
    else:
        x = number(inner.attrs.get("offset"), 0.0) + number(inner.attrs.get("scale"), 1.0) * np.arange(size)
    known = {key: number(value) for key, value in group.attrs.items()} | {"x": x, "pi": np.pi}
    points = _value(ast.parse(text(group.attrs["expression"]), mode="eval").body, known)
    return np.broadcast_to(np.asarray(points, dtype=np.float64), x.shape)


def _value(node: ast.AST, known: dict[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left, known), _value(node.right, known))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, known))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        return _FUNCTIONS[node.func.id](*(_value(argument, known) for argument in node.args))
    raise ValueError(f"an axis is the function {ast.unparse(node)}, which is not arithmetic")
