"""USID (pycroscopy's, before NSID): a matrix of positions by spectroscopic values, and matrices of what these are."""

from dataclasses import replace
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.formats.hdf5.arrays import Access, Contents, axis_of_values, is_numeric, made, texts, values_of
from emcore.io.formats.hdf5.plain import plain_signal

_ANCILLARY = ("Position_Indices", "Position_Values", "Spectroscopic_Indices", "Spectroscopic_Values")


def _main_datasets(found: Contents) -> dict[str, Any]:
    """The matrices that refer to the matrices of their positions and spectroscopic values, by their path."""
    return {path: item for path, item in found.arrays.items() if all(key in item.attrs for key in _ANCILLARY)}


def read_usid(found: Contents, access: Access) -> list[Signal]:
    """Every main data set in its full dimensions; one of records is one signal for each of their fields."""
    signals = []
    for title, dataset in _main_datasets(found).items():
        try:
            inds, values, spec_inds, spec_values = (found.root[dataset.attrs[key]] for key in _ANCILLARY)
        except (ValueError, KeyError, RuntimeError):  # references are lost when a data set is copied alone
            signals += [plain_signal(dataset, title, access)] if is_numeric(dataset) else []
            continue
        positions = _dimensions(np.asarray(inds[()]).T, np.asarray(values[()]).T, inds, values)
        spectral = _dimensions(np.asarray(spec_inds[()]), np.asarray(spec_values[()]), spec_inds, spec_values)
        if positions is None:
            positions = [Axis("position", dataset.shape[0])]
        if spectral is None:
            spectral = [Axis("channel", dataset.shape[1])]
        axes = [replace(axis, navigation=bool(spectral)) for axis in positions] + spectral
        if not axes:
            continue
        for name, data in _fields(dataset, title, access):
            shaped = data.reshape(tuple(axis.size for axis in axes))
            signals.append(made(axes, shaped, name, flagged=True, metadata=values_of(dataset)))
    return signals


def _fields(dataset: Any, title: str, access: Access) -> list[tuple[str, Any]]:
    if is_numeric(dataset) and not (dataset.dtype.names and len(dataset.dtype.names) > 2):
        return [(title, access.movable(dataset))]
    names = [name for name in dataset.dtype.names or () if dataset.dtype[name].kind in "iuf"]
    if not names:
        return []
    records = dataset[()]
    return [(f"{title}/{name}", np.ascontiguousarray(records[name])) for name in names]


def _dimensions(indices: Any, values: Any, said: Any, scaled: Any) -> list[Axis] | None:
    """The axes behind one ancillary matrix, slowest first; None if they do not make up a full grid in its order."""
    labels, units = (texts(said.attrs.get(key, scaled.attrs.get(key, ()))) for key in ("labels", "units"))
    sizes = [len(np.unique(row)) for row in indices]
    # The slowest changes least often.
    order = sorted(range(len(sizes)), key=lambda i: (int(np.count_nonzero(np.diff(indices[i]))), -sizes[i]))
    order = [i for i in order if sizes[i] > 1]
    shape = tuple(sizes[i] for i in order)
    if int(np.prod(shape)) != indices.shape[1]:
        return None
    grids = np.indices(shape).reshape(len(shape), indices.shape[1])
    for i, grid in zip(order, grids, strict=True):
        if not np.array_equal(np.unique(indices[i], return_inverse=True)[1].ravel(), grid):
            return None
    axes = []
    for place, i in enumerate(order):
        every = int(np.prod(shape[place + 1 :]))
        points = np.asarray(values[i][: every * shape[place] : every], dtype=np.float64)
        name, unit = (listed[i] if i < len(listed) else "" for listed in (labels, units))
        axes.append(axis_of_values(name, shape[place], points, unit))
    return axes
