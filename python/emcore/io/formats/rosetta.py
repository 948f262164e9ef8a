"""Files that RosettaSciIO decodes, and what it leaves to be put right: their axes."""

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.extras import install
from emcore.core.signals import Axis, Signal, name_axes, plain_colour, tidy_axes
from emcore.core.units import tidy_units
from emcore.io.instrument import about, with_mapped


def rosetta(plugin: str, path: Path, lazy: bool, **settings: Any) -> list[dict[str, Any]]:
    """What RosettaSciIO's reader `plugin` finds in a file, without its log messages and warnings."""
    try:
        read = importlib.import_module(f"rsciio.{plugin}").file_reader
    except ImportError as error:
        if (error.name or "rsciio").split(".")[0] != "rsciio":  # a package that only this plugin needs
            raise
        raise ImportError(f"reading {path.suffix} files needs RosettaSciIO: {install('io')}") from error
    if lazy:
        from emcore.io.optional import dask_array

        dask_array()
    with quiet("rsciio"):
        items: list[dict[str, Any]] = read(str(path), lazy=lazy, **settings)
    return items


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Neither warnings nor messages of the named logger while a decoder works."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def from_rosetta(item: dict[str, Any]) -> Signal:
    """One of RosettaSciIO's dictionaries as a Signal."""
    data = plain_colour(item["data"])
    axes = name_axes(tuple(rosetta_axes(item)))
    if data.ndim == len(axes) + 1:
        axes = (*axes, Axis("colour", data.shape[-1]))
    said = item.get("metadata", {})
    metadata = about(with_mapped(said, item.get("original_metadata") or {}, item.get("mapping") or {}))
    title, flagged = str(said.get("General", {}).get("title") or ""), any("navigate" in axis for axis in item["axes"])
    return Signal(data, tidy_axes(axes), title=title, metadata=metadata, flagged=flagged)


def rosetta_axes(item: dict[str, Any]) -> list[Axis]:
    """The axes of one of RosettaSciIO's dictionaries, in the order of its array."""
    listed = list(item["axes"])
    if all("index_in_array" in axis for axis in listed):
        listed.sort(key=lambda axis: axis["index_in_array"])
    axes = []
    for axis, size in zip(listed, item["data"].shape, strict=False):
        name = axis.get("name") if isinstance(axis.get("name"), str) else ""
        units, navigation = tidy_units(axis.get("units")), bool(axis.get("navigate", False))
        points = axis.get("axis")  # of an axis given point by point
        if points is not None and np.size(points) == size and np.isfinite(points).all():
            axes.append(Axis.from_values(name or "", points, units, navigation))
            continue
        regular = axis.get("scale") is not None
        scale, offset = (float(axis.get(key, default) or 0) for key, default in (("scale", 1.0), ("offset", 0.0)))
        axes.append(Axis(name or "", size, scale if regular else 1.0, offset, units if regular else "px", navigation))
    return axes
