"""Maps and labels as an OME-Zarr store (NGFF 0.4 or 0.5), which napari, Fiji and the viewers of image archives open."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.files import check_output, new_file
from emcore.core.signals import Axis
from emcore.io.optional import zarr_module
from emcore.io.recognise import store_of

VERSIONS = ("0.4", "0.5")
_UNITS = {
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "um": "micrometer",
    "nm": "nanometer",
    "A": "angstrom",
    "pm": "picometer",
}
_CHUNK = 1024

Picture = tuple[NDArray[Any], Sequence[Axis]]


def write_ome_zarr(
    path: Path,
    image: Picture,
    maps: Mapping[str, Picture],
    labels: Mapping[str, NDArray[Any]],
    title: str = "",
    version: str = "0.5",
    overwrite: bool = False,
) -> Path:
    """Write a picture, the labels of its positions, and maps, each at its full resolution.

    Parameters
    ----------
    path : Path
        A folder that is to be; usually ends in .zarr or .ome.zarr.
    image : (ndarray, axes), shape (y, x)
        The picture that stands at the root.
    maps : dict of (ndarray, axes), shape (y, x) or (k, y, x)
        Each a group of its name; the first of three axes is written as channels.
    labels : dict of ndarray, shape of the image, integer
        Of every position, -1 for none; written from 1 on, with 0 for none, as NGFF has it.
    title : str, default ""
    version : str, default "0.5"
        "0.4" is Zarr 2, "0.5" is Zarr 3.
    overwrite : bool, default False
        Replace an existing Zarr store.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If `version` is another one.
    FileExistsError
        If `path` exists and `overwrite` is not set, or is no Zarr store.
    ImportError
        If the extra `zarr` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> axes, zero = (Axis("y", 2, 0.5, units="nm"), Axis("x", 3, 0.5, units="nm")), np.zeros((2, 3), int)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = write_ome_zarr(Path(folder, "a.zarr"), (np.ones((2, 3)), axes), {}, {"grains": zero})
    ...     int(zarr_module().open_group(store)["labels/grains/0"][1, 2])
    1
    """
    with new_store(path, version, overwrite) as root:
        _write_picture(root, *image, title, version)
        for name, picture in maps.items():
            _write_picture(root.create_group(name), *picture, name, version)
        if labels:
            describe(root.create_group("labels"), {"labels": list(labels)}, version)
        for name, values in labels.items():
            counted = np.where(values < 0, 0, values + 1).astype(np.int32)
            shown = label_properties(name, np.unique(counted), version)
            _write_picture(root["labels"].create_group(name), counted, image[1], name, version, shown)
    return path


@contextmanager
def new_store(path: Path, version: str, overwrite: bool) -> Iterator[Any]:
    """The root of a store that appears at `path` when the block ends, and not at all when it fails."""
    if version not in VERSIONS:
        raise ValueError(f"version must be one of {', '.join(VERSIONS)}, found {version!r}")
    zarr = zarr_module()
    with new_file(path, overwrite, check=check_store) as temporary:
        yield zarr.open_group(str(temporary), mode="w", zarr_format=2 if version == "0.4" else 3)


def check_store(path: Path, overwrite: bool) -> None:
    """Refuse, before any work, a store that exists, or a place where none can be written."""
    if not (overwrite and path.is_dir() and store_of(path)):
        check_output(path, False)


def label_properties(name: str, values: Iterable[int], version: str) -> dict[str, Any]:
    """What NGFF has of a label image: its labels, and the picture that they are of."""
    shown: dict[str, Any] = {
        "properties": [{"label-value": int(i), "name": f"{name} {i}"} for i in values if i],
        "source": {"image": "../../"},
    }
    return {"image-label": shown | ({"version": version} if version == "0.4" else {})}


def _write_picture(
    group: Any, values: NDArray[Any], axes: Sequence[Axis], name: str, version: str, also: dict[str, Any] | None = None
) -> None:
    names = ("c", "y", "x")[-len(axes) :]
    chunks = tuple(1 if short == "c" else min(size, _CHUNK) for short, size in zip(names, values.shape, strict=True))
    array = add_array(group, values.shape, values.dtype, names, chunks, version)
    array[...] = values
    describe(group, scales_of(names, axes, name, version) | (also or {}), version)


def scales_of(names: Sequence[str], axes: Sequence[Axis], name: str, version: str) -> dict[str, Any]:
    """What NGFF has of the axes of a picture of one resolution."""
    described: list[dict[str, str]] = []
    for short, axis in zip(names, axes, strict=True):
        kind = {"name": short, "type": "channel" if short == "c" else "space"}
        described.append(kind | ({"unit": _UNITS[axis.units]} if axis.units in _UNITS else {}))
    scale = [1.0 if short == "c" else axis.scale for short, axis in zip(names, axes, strict=True)]
    start = [0.0 if short == "c" else axis.offset for short, axis in zip(names, axes, strict=True)]
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(start):
        steps.append({"type": "translation", "translation": start})
    scales: dict[str, Any] = {"name": name, "axes": described}
    scales["datasets"] = [{"path": "0", "coordinateTransformations": steps}]
    if version == "0.4":
        scales["version"] = version
    return {"multiscales": [scales]}


def add_array(
    group: Any, shape: Sequence[int], dtype: Any, names: Sequence[str], chunks: Sequence[int], version: str
) -> Any:
    """An empty array at full resolution in the group of a picture."""
    settings: dict[str, Any] = {"shape": tuple(shape), "dtype": dtype, "chunks": tuple(chunks)}
    if version == "0.4":
        settings["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
    else:
        settings["dimension_names"] = names
    return group.create_array("0", **settings)


def describe(group: Any, about: dict[str, Any], version: str) -> None:
    """Put what NGFF says into the attributes of a group."""
    group.attrs.update(about if version == "0.4" else {"ome": {"version": version, **about}})
