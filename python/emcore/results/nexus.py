"""The results file: how a `Result` is laid out in HDF5, the NeXus way, and read back.

    /                       NXroot, @default = entry
    /entry                  NXentry, @default = the field a viewer shows first; @emcore_result = class name
    /entry/<array field>    NXdata: data (@signal), one coordinate per axis (@axes), units, long_name
    /entry/<Signal field>   NXdata: data with its calibrated axes
    /entry/coordinates      NXcollection: coordinate arrays and arrays without declared axes
    /entry/values           NXcollection: numbers and texts; what is known of a Signal beside its data
    /entry/provenance       NXprocess: program, version, date, parameters, versions, notes, instrument
    /entry/instrument       NXinstrument: the voltage, by NXem's names; /entry/sample, NXsample: atom types

Source: NeXus manual, rules for storing data (https://manual.nexusformat.org/datarules.html). Values that HDF5 has no
type for (None, tuples, dicts) are JSON text; nothing is ever pickled.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.extras import install
from emcore.core.files import as_path, new_file, write_whole
from emcore.core.provenance import Provenance, plain, versions
from emcore.core.signals import Axis, Signal
from emcore.io.errors import explained
from emcore.results.fields import array_fields, field_text, result_class

FORMAT = 1


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"results files need h5py: {install('hdf5')}") from error
    return h5py


def write_result(result: Any, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Write a result to an HDF5 file, whole or not at all. See `Result.save`."""
    h5py = _h5py()
    path = as_path(path)
    with new_file(path, overwrite) as part:
        # Made in memory: HDF5 that cannot write ends the process at its exit.
        with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
            _write_root(file, result, path.name)
            file.flush()
            image = file.id.get_file_image()
        write_whole(part, image)
    return path


def _write_root(file: Any, result: Any, name: str) -> None:
    h5py = _h5py()
    own = versions()["emcore"]
    file.attrs.update({"NX_class": "NXroot", "default": "entry", "file_name": name, "creator": f"emcore {own}"})
    file.attrs.update({"HDF5_Version": h5py.version.hdf5_version, "h5py_version": h5py.version.version})
    entry = _group(file, "entry", "NXentry")
    entry.attrs.update({"emcore_result": type(result).__name__, "emcore_format": FORMAT})
    declared = {name: (axes, inside) for name, axes, inside in array_fields(result)}
    fields = dataclasses.fields(result)
    loose, values = _group(entry, "coordinates", "NXcollection"), _group(entry, "values", "NXcollection")
    for f in fields:
        if f.name in declared or not f.init:
            continue
        value = getattr(result, f.name)
        if isinstance(value, np.ndarray):
            stored = _write_array(loose, f.name, value)
            _annotate(stored, field_text(result, f.name, "units"), field_text(result, f.name, "long_name") or f.name)
        elif isinstance(value, Signal):
            _write_signal(entry, values, f.name, value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Signal):
            for number, signal in enumerate(value):
                _write_signal(entry, values, f"{f.name}_{number}", signal)
            _write_value(values, f.name, len(value)).attrs["emcore_type"] = "signals"
        elif isinstance(value, Provenance):
            _write_provenance(entry, f.name, value)
        else:
            _write_value(values, f.name, value)
    for name, (axes, inside) in declared.items():
        _write_data(entry, name, result, axes, inside, loose)
    first = [f.name for f in fields if f.name in declared and f.metadata.get("default")]
    plots = [*first, *declared, *(f.name for f in fields if isinstance(getattr(result, f.name), Signal))]
    if plots:
        entry.attrs["default"] = plots[0]
    records = [v for v in (getattr(result, f.name) for f in fields) if isinstance(v, Provenance)]
    for record in records:
        _write_instrument(entry, record.instrument)
    entry["title"] = f"{type(result).__name__} of {records[0].input_name}" if records else type(result).__name__


def _group(parent: Any, name: str, nx_class: str) -> Any:
    group = parent.create_group(name, track_order=True)
    group.attrs["NX_class"] = nx_class
    return group


def _annotate(dataset: Any, units: str, long_name: str) -> None:
    if units:
        dataset.attrs["units"] = units
    dataset.attrs["long_name"] = f"{long_name} ({units})" if units else long_name


def _write_array(group: Any, name: str, array: np.ndarray[Any, Any]) -> Any:
    h5py = _h5py()
    if array.dtype.kind not in "biufcUS":
        raise TypeError(f"field {name} has dtype {array.dtype}: only numbers, bools and text can be saved")
    if array.dtype.kind == "U":
        texts = np.array([json.dumps(text) for text in array.ravel().tolist()], dtype=object).reshape(array.shape)
        stored = group.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        stored.attrs["emcore_dtype"] = array.dtype.str
        return stored
    # Label images shrink twenty times; measured floats hardly at all.
    small = array.dtype.kind in "biu" and array.ndim > 1 and array.nbytes > 65536
    options = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if small else {}
    return group.create_dataset(name, data=array, **options)


def _write_data(entry: Any, name: str, result: Any, axes: tuple[Axis, ...], inside: int, loose: Any) -> None:
    group = _group(entry, name, "NXdata")
    units, long_name = (field_text(result, name, key) for key in ("units", "long_name"))
    data = _write_array(group, "data", getattr(result, name))
    _annotate(data, units, long_name or name.replace("_", " "))
    data.attrs["interpretation"] = {1: "spectrum", 2: "image"}.get(inside, "scalar")
    _write_axes(group, axes, loose)
    group.attrs["signal"] = "data"
    group["title"] = long_name or name.replace("_", " ")


def _write_axes(group: Any, axes: tuple[Axis, ...], loose: Any) -> None:
    names: list[str] = []
    for axis in axes:
        name = axis.name or f"axis_{len(names)}"
        if name in names or name in ("data", "title"):
            name = f"{name}_{len(names)}"
        names.append(name)
        if loose is not None and axis.name in loose and loose[axis.name].shape == (axis.size,):
            group[name] = loose[axis.name]  # the coordinate itself, under a second link
            group[name].attrs["target"] = loose[axis.name].name
            continue
        counting = not axis.calibrated and (axis.scale, axis.offset, axis.points) == (1.0, 0.0, None)
        stored = group.create_dataset(name, data=np.arange(axis.size) if counting else axis.values)
        _annotate(stored, axis.units, axis.name)
    group.attrs["axes"] = names
    for i, name in enumerate(names):
        group.attrs[f"{name}_indices"] = np.array([i])


def _write_signal(entry: Any, values: Any, name: str, signal: Signal) -> None:
    group = _group(entry, name, "NXdata")
    data = _write_array(group, "data", np.asarray(signal.data))
    _annotate(data, "", signal.title or name)
    _write_axes(group, signal.axes, None)
    group.attrs["signal"] = "data"
    group["title"] = name
    fields = {
        "axes": [_axis_fields(axis) for axis in signal.axes],
        "source": signal.source,
        "title": signal.title,
    }
    _write_json(values, name, fields | {"metadata": plain(signal.metadata, f"{name}.metadata")}, "signal")


def _axis_fields(axis: Axis) -> dict[str, Any]:
    fields = dataclasses.asdict(axis)
    if axis.even:  # as versions that knew even steps only have it
        del fields["points"]
    return fields


def _write_provenance(entry: Any, name: str, provenance: Provenance) -> None:
    group = _group(entry, name, "NXprocess")
    group["program"], group["version"] = "emcore", provenance.versions.get("emcore", "unknown")
    group["date"] = provenance.created
    for f in dataclasses.fields(provenance):
        value = getattr(provenance, f.name)
        inner = _group(group, f.name, "NXparameters") if isinstance(value, dict) else None
        if inner is None:
            _write_value(group, f.name, value)
            continue
        inner.attrs["emcore_type"] = "dict"
        for number, (key, item) in enumerate(value.items()):
            safe = key.isidentifier() and not key.startswith("item_")  # HDF5 takes no "/", "." or empty names
            stored = _write_value(inner, key if safe else f"item_{number}", item)
            stored.attrs["emcore_key"] = json.dumps(key)


def _write_instrument(entry: Any, known: dict[str, Any]) -> None:
    """What has a name in NXem; all of it is with the provenance, which alone is read back."""
    microscopes = known.get("Acquisition_instrument", {})
    energies = [
        part["beam_energy"] for part in microscopes.values() if isinstance(part, dict) and part.get("beam_energy")
    ]
    if energies and isinstance(energies[0], int | float):
        column = _group(_group(entry, "instrument", "NXinstrument"), "ebeam_column", "NXebeam_column")
        source = _group(column, "electron_source", "NXsource")
        source.create_dataset("voltage", data=1000.0 * energies[0]).attrs["units"] = "V"
    elements = known.get("Sample", {}).get("elements")
    if isinstance(elements, list) and elements:
        _group(entry, "sample", "NXsample")["atom_types"] = ", ".join(map(str, elements))


def _write_value(group: Any, name: str, value: Any) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        stored, kind = group.create_dataset(name, data=value), "numpy"
    elif isinstance(value, bool | float) or (isinstance(value, int) and -(2**63) <= value < 2**63):
        stored = group.create_dataset(name, data=value)
        kind = next(base.__name__ for base in (bool, int, float) if isinstance(value, base))
    elif isinstance(value, str) and value.isprintable():
        stored, kind = group.create_dataset(name, data=str(value), dtype=_h5py().string_dtype()), "str"
    elif isinstance(value, tuple) and value and all(isinstance(text, str) and text.isprintable() for text in value):
        stored, kind = group.create_dataset(name, data=list(value), dtype=_h5py().string_dtype()), "texts"
    else:
        return _write_json(group, name, plain(value, name), "json")
    stored.attrs["emcore_type"] = kind
    return stored


def _write_json(group: Any, name: str, value: Any, kind: str) -> Any:
    stored = group.create_dataset(name, data=json.dumps(_pack(value)), dtype=_h5py().string_dtype())
    stored.attrs["emcore_type"] = kind
    return stored


def _pack(value: Any) -> Any:
    # JSON knows no tuples: they come back as what they were.
    if isinstance(value, tuple):
        return {"__tuple__": [_pack(item) for item in value]}
    if isinstance(value, list):
        return [_pack(item) for item in value]
    if isinstance(value, dict):
        return {"__dict__": [[key, _pack(item)] for key, item in value.items()]}
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    if isinstance(value, dict):
        if "__tuple__" in value:
            return tuple(_unpack(item) for item in value["__tuple__"])
        return {key: _unpack(item) for key, item in value["__dict__"]}
    return value


def is_result(path: Path) -> bool:
    """Whether that is a file that `write_result` wrote, of whatever version."""
    try:
        with _h5py().File(path, "r") as file:
            return "emcore_result" in getattr(file.get("entry"), "attrs", {})
    except OSError:  # not there, no HDF5, or damaged
        return False


def read_result(path: str | os.PathLike[str]) -> Any:
    """Read back what `write_result` wrote. See `emcore.load_result`."""
    path = as_path(path)
    h5py = _h5py()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file() or not h5py.is_hdf5(path):
        raise ValueError(f"{path} is not an emcore result: it is no HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            entry = file.get("entry")
            if entry is None or "emcore_result" not in entry.attrs:
                raise _NotOurs("it was not written by emcore (use emcore.read for measurements)")
            if int(entry.attrs["emcore_format"]) > FORMAT:
                raise _NotOurs(f"it was written by a newer version ({file.attrs['creator']}): update emcore")
            return _read_entry(entry, result_class(str(entry.attrs["emcore_result"])))
    except ImportError:
        raise
    except _NotOurs as error:
        raise ValueError(f"{path} is not an emcore result that can be read: {error}") from error
    except KeyError as error:
        raise ValueError(f"{path} is a damaged emcore result: {error.args[0]}") from error
    except Exception as error:
        raise explained(error, str(path), "an emcore result") from error


class _NotOurs(ValueError):
    """A file that is whole, but no result that this version can read."""


def _read_entry(entry: Any, cls: type[Any] | None) -> Any:
    if cls is None:
        raise _NotOurs(f"it holds a {entry.attrs['emcore_result']!r}, which this version does not know: update emcore")
    values: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if not f.init:
            continue
        if f.name in entry["values"]:
            values[f.name] = _read_field(entry, f.name)
        elif f.name in entry["coordinates"]:
            values[f.name] = _read_array(entry["coordinates"][f.name])
        elif f.name in entry:
            group = entry[f.name]
            process = group.attrs["NX_class"] == "NXprocess"
            values[f.name] = _read_provenance(group) if process else _read_array(group["data"])
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise _NotOurs(f"it has no {f.name}: it was written by another version")
    return cls(**values)


def _read_field(entry: Any, name: str) -> Any:
    stored = entry["values"][name]
    if stored.attrs["emcore_type"] == "signals":
        return tuple(_read_field(entry, f"{name}_{number}") for number in range(stored[()]))
    return _read_signal(entry[name], stored) if stored.attrs["emcore_type"] == "signal" else _read_value(stored)


def _read_array(dataset: Any) -> np.ndarray[Any, Any]:
    if "emcore_dtype" in dataset.attrs:
        texts = [json.loads(text) for text in np.asarray(dataset.asstr()[()], dtype=object).ravel()]
        return np.array(texts, dtype=dataset.attrs["emcore_dtype"]).reshape(dataset.shape)
    return np.asarray(dataset[()], dtype=dataset.dtype)  # a single value comes without its byte order


def _read_signal(group: Any, stored: Any) -> Signal:
    fields = _unpack(json.loads(stored.asstr()[()]))
    axes = tuple(Axis(**axis) for axis in fields["axes"])
    return Signal(_read_array(group["data"]), axes, fields["source"], fields["title"], fields["metadata"])


def _read_provenance(group: Any) -> Provenance:
    values: dict[str, Any] = {}
    for f in dataclasses.fields(Provenance):
        if f.name not in group:  # of an earlier version
            continue
        stored = group[f.name]
        if stored.attrs["emcore_type"] == "dict":
            values[f.name] = {json.loads(item.attrs["emcore_key"]): _read_value(item) for item in stored.values()}
        else:
            values[f.name] = _read_value(stored)
    return Provenance(**values)


def _read_value(dataset: Any) -> Any:
    kind = dataset.attrs["emcore_type"]
    if kind == "json":
        return _unpack(json.loads(dataset.asstr()[()]))
    if kind == "texts":
        return tuple(dataset.asstr()[()].tolist())
    if kind == "str":
        return dataset.asstr()[()]
    value = dataset[()]
    return value if kind == "numpy" else {"bool": bool, "int": int, "float": float}[kind](value)
