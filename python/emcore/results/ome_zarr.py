"""Which arrays of a result are pictures, and which of them labels, for its OME-Zarr store."""

from pathlib import Path
from typing import Any

import numpy as np

from emcore.io.ome_zarr import write_ome_zarr
from emcore.results.fields import array_fields


def write_maps(result: Any, path: Path, version: str, overwrite: bool) -> Path:
    """Write the picture that was analysed, the labels of its positions and the maps. See `Result.to_ome_zarr`."""
    image = getattr(result, "image", None)
    if image is None or len(image.axes) != 2:
        observed = "none" if image is None else f"one of shape {image.shape}"
        raise ValueError(f"OME-Zarr holds pictures of two axes, a {type(result).__name__} with {observed} has no such")
    maps, labels = {}, {}
    for name, axes, _ in array_fields(result):
        values = np.asarray(getattr(result, name))
        if values.ndim not in (2, 3) or [axis.name for axis in axes[-2:]] != [axis.name for axis in image.axes]:
            continue
        if values.shape == image.shape and values.dtype.kind in "bi":
            labels[name] = values.astype(np.int32) - (values.dtype.kind == "b")
        else:
            maps[name] = (values, axes)
    picture = np.asarray(image.data), image.axes
    return write_ome_zarr(path, picture, maps, labels, result.provenance.input_name, version, overwrite)
