"""Label volumes as an OME-Zarr store, written slab by slab: what is larger than memory is never held."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis
from emcore.io.ome_zarr import Picture, add_array, describe, label_properties, new_store, scales_of

_NAMES = ("z", "y", "x")
# Planes and then voxels along y and x of a chunk.
_CHUNK = (64, 256, 256)


def write_label_volumes(
    path: Path,
    picture: Picture,
    axes: Sequence[Axis],
    counts: Mapping[str, int],
    slabs: Iterable[Sequence[NDArray[Any]]],
    title: str = "",
    version: str = "0.5",
    overwrite: bool = False,
) -> Path:
    """Write a picture of a volume, perhaps coarser, and labels of its voxels, as OME-Zarr.

    Parameters
    ----------
    path : Path
        A folder that is to be; usually ends in .ome.zarr.
    picture : (ndarray, axes), three axes
        Stands at the root.
    axes : sequence of three Axis
        Of the labels.
    counts : dict of int
        The name of each volume of labels, and how many labels it has: from -1 for none to one less. They are written
        from 1 on, with 0 for none, in the smallest unsigned type.
    slabs : iterable
        One after another along z, each an array of labels of every volume.
    title : str, default ""
    version : {"0.5", "0.4"}, default "0.5"
    overwrite : bool, default False

    Returns
    -------
    Path

    Raises
    ------
    ValueError, FileExistsError, ImportError
        See `emcore.io.ome_zarr.write_ome_zarr`.

    Examples
    --------
    >>> import tempfile
    >>> from emcore.io.optional import zarr_module
    >>> axes = tuple(Axis(name, 2) for name in "zyx")
    >>> slabs = [[np.full((1, 2, 2), -1)], [np.full((1, 2, 2), 4)]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Path(folder, "a.ome.zarr")
    ...     _ = write_label_volumes(store, (np.ones((2, 2, 2)), axes), axes, {"textures": 5}, slabs)
    ...     zarr_module().open_group(store)["labels/textures/0"][:, 0, 0].tolist()
    [0, 5]
    """
    with new_store(path, version, overwrite) as root:
        values = picture[0]
        chunks = [min(size, most) for size, most in zip(values.shape, _CHUNK, strict=True)]
        add_array(root, values.shape, values.dtype, _NAMES, chunks, version)[...] = values
        describe(root, scales_of(_NAMES, picture[1], title, version), version)
        describe(root.create_group("labels"), {"labels": list(counts)}, version)
        shape, arrays = [axis.size for axis in axes], []
        chunks = [min(size, most) for size, most in zip(shape, _CHUNK, strict=True)]
        for name, count in counts.items():
            group = root["labels"].create_group(name)
            shown = label_properties(name, range(1, count + 1), version)
            describe(group, scales_of(_NAMES, axes, name, version) | shown, version)
            arrays.append(add_array(group, shape, np.min_scalar_type(count), _NAMES, chunks, version))
        start = 0
        for parts in _whole_chunks(slabs, chunks[0]):
            for array, part in zip(arrays, parts, strict=True):
                # -1 becomes the largest number of its type, and that 0.
                array[start : start + len(part)] = part.astype(array.dtype) + array.dtype.type(1)
            start += len(parts[0])
    return path


def _whole_chunks(slabs: Iterable[Sequence[NDArray[Any]]], planes: int) -> Iterator[list[NDArray[Any]]]:
    """The slabs put together so that each has a multiple of so many planes, but for the last one."""
    waiting: list[NDArray[Any]] = []
    for slab in slabs:
        waiting = [np.concatenate(pair) for pair in zip(waiting, slab, strict=True)] if waiting else list(slab)
        whole = len(waiting[0]) // planes * planes
        if whole:
            yield [part[:whole] for part in waiting]
            waiting = [part[whole:] for part in waiting]
    if waiting and len(waiting[0]):
        yield waiting
