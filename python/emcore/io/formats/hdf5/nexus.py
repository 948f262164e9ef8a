"""NeXus: groups of the class NXdata, each a signal with the axes that it names."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5.arrays import (
    Access,
    Contents,
    axis_of_values,
    each_signal,
    is_numeric,
    left_out,
    number,
    one_value,
    text,
    texts,
)
from emcore.io.formats.hdf5.plain import is_scale, plain_signal, units_of
from emcore.io.instrument import about

# What is inside one measurement: how many of the last axes, by the attribute `interpretation`.
_INSIDE = {"scalar": 0, "scaler": 0, "spectrum": 1, "image": 2, "rgb-image": 3, "rgba-image": 3, "vertex": 1}


def _data_groups(found: Contents) -> list[tuple[str, Any]]:
    """The groups of the class NXdata, the default one first."""
    groups = [(path, item) for path, item in found.groups.items() if text(item.attrs.get("NX_class")) == "NXdata"]
    default = found.root
    for _ in found.groups:  # a default may name what is above it
        if hasattr(default, "shape") or text(default.attrs.get("default")) not in default:
            break
        default = default[text(default.attrs["default"])]
    return sorted(groups, key=lambda pair: pair[1].name != default.name)


def read_nexus(found: Contents, access: Access) -> list[Signal]:
    """The signals of every NXdata group; what is missing is said."""
    arrays: dict[str, tuple[Any, Any]] = {}
    missing: list[str] = []
    for place, group in _data_groups(found):
        for name in _signal_names(group):
            try:
                dataset = group[name]
            except (KeyError, OSError):
                link = group.get(name, getlink=True)
                where = (
                    f"in {link.filename}, which must lie beside it" if hasattr(link, "filename") else "not in the file"
                )
                missing.append(f"{place}/{name} is {where}")
                continue
            if not is_numeric(dataset):
                missing += [said] if (said := left_out(dataset)) else []
            elif all(dataset != other for _, other in arrays.values()):
                arrays[f"{place}/{name}"] = (group, dataset)
    if missing and not arrays:
        raise BadFile(f"{found.path} names data that are not there, or are no numbers: {missing[0]}")
    datasets = {path: dataset for path, (_, dataset) in arrays.items()}
    signals = each_signal(datasets, lambda path, dataset: _read(arrays[path][0], dataset, path, access), missing)
    known = about(_described(found))
    return [replace(signal, metadata=known | signal.metadata) for signal in signals]


def _described(found: Contents) -> dict[str, Any]:
    """What has a name in NXem: the voltage of the electron source, and the elements of the sample."""
    source = next((path for path in found.arrays if path.endswith("ebeam_column/electron_source/voltage")), "")
    sample = next((path for path in found.arrays if path.endswith("sample/atom_types")), "")
    voltage, elements = (one_value(found.arrays.get(path)) for path in (source, sample))
    said: dict[str, Any] = {"elements": elements.split(", ")} if isinstance(elements, str) and elements else {}
    column = {"beam_energy": voltage / 1e3 if isinstance(voltage, float) else None}
    return {"Acquisition_instrument": {"TEM": column}, "Sample": said}


def _signal_names(group: Any) -> list[str]:
    named = text(group.attrs.get("signal"))
    if named:
        return [named, *texts(group.attrs.get("auxiliary_signals", ()))]
    links = {name: group.get(name, getlink=True) for name in group}
    members = {name: group.get(name) for name in group}
    arrays = {name: item for name, item in members.items() if is_numeric(item) and not is_scale(item)}
    marked = [name for name, item in arrays.items() if number(item.attrs.get("signal")) == 1]
    most = max((len(item.shape) for item in arrays.values()), default=0)
    lost = [name for name, item in members.items() if item is None and hasattr(links[name], "filename")]
    return marked or [name for name, item in arrays.items() if len(item.shape) == most] or lost


def _read(group: Any, dataset: Any, title: str, access: Access) -> Signal:
    names = _axis_names(group, dataset)
    if not any(names):
        return plain_signal(dataset, title, access)
    shape = dataset.shape
    said = text(dataset.attrs.get("interpretation")) or text(group.attrs.get("interpretation"))
    inside = _INSIDE.get(said.lower())
    outer = len(shape) - (inside if inside is not None else 2)
    axes = []
    for i, (name, size) in enumerate(zip(names, shape, strict=True)):
        if said.lower().startswith("rgb") and i == len(shape) - 1:
            axes.append(Axis("colour", size))
            continue
        item = group.get(name) if name else None
        scale = item if hasattr(item, "dtype") else None
        axes.append(_axis(name, size, scale, i < outer))
    return access.signal(dataset, axes, title, inside is not None)


def _axis(name: str, size: int, scale: Any, navigation: bool) -> Axis:
    if scale is None or scale.dtype.kind not in "iuf" or scale.ndim > 1:
        return Axis(name, size, units=(units_of(scale) if scale is not None else "") or "px", navigation=navigation)
    values = np.asarray(scale[()], dtype=np.float64)
    if values.shape == (size + 1,) and size > 1:  # the edges of a histogram
        values = (values[1:] + values[:-1]) / 2
    if values.ndim == 0 or values.shape != (size,):
        return Axis(name, size, navigation=navigation)
    return axis_of_values(name, size, values, units_of(scale), navigation)


def _axis_names(group: Any, dataset: Any) -> list[str]:
    """The name of the scale of each dimension, "" where there is none."""
    names = [""] * len(dataset.shape)
    listed = group.attrs.get("axes", dataset.attrs.get("axes"))
    if listed is None:
        for name in group:  # before 2014 each scale said itself which dimension is its own
            item = group.get(name)
            if hasattr(item, "dtype") and "axis" in item.attrs:
                place = int(number(item.attrs["axis"], 0.0))
                if 0 < place <= len(names) and (not names[place - 1] or "primary" in item.attrs):
                    names[place - 1] = name
        return names
    written = texts(listed)
    if len(written) == 1:
        written = [part.strip() for part in re.split(r"[:,]", written[0].strip("[]"))]
    for i, name in enumerate(written):
        places = np.ravel(group.attrs.get(f"{name}_indices", i))
        place = int(places[0])
        if name != "." and places.size == 1 and place < len(names) and not names[place]:
            names[place] = name
    return names
