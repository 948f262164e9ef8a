"""EMD 1.0, the format of py4DSTEM and emdfile (https://emdatasets.com/format): a 4D scan and its calibration."""

import json
from collections.abc import Sequence
from typing import Any

from emcore.core.signals import Axis

# py4DSTEM's names and units: lengths in the scan, 1/angstrom or mrad in patterns.
_NAMES = ("Rx", "Ry", "Qx", "Qy")
_UNITS = {"A": "A", "nm": "nm", "um": "um", "1/A": "A^-1", "mrad": "mrad"}


def check_emd(axes: Sequence[Axis]) -> None:
    """Refuse what is no scan of patterns.

    Raises
    ------
    ValueError
        Names the axes and what to do.
    """
    if [axis.navigation for axis in axes] != [True, True, False, False]:
        named = ", ".join(f"{axis.name} ({'scan' if axis.navigation else 'signal'})" for axis in axes)
        raise ValueError(f"an .emd file holds a scan in y and x of patterns in ky and kx, found {named}: choose .h5")


def describe_emd(file: Any, axes: Sequence[Axis], title: str, instrument: dict[str, Any] | None) -> Any:
    """Write all but the values into an empty HDF5 file, and give the group in which the array "data" is to lie.

    Parameters
    ----------
    file : h5py.File
    axes : sequence of Axis
        Of the scan, then of a pattern. py4DSTEM has one step for both axes of each: where they differ there is none.
        It counts from the first position; where the origin of patterns lies is a calibration of its own.
    title : str
    instrument : dict or None
        See `emcore.core.provenance.Provenance`.
    """
    check_emd(axes)
    named = title.replace("/", "-") or "datacube"
    file.attrs.update({"emd_group_type": "file", "version_major": 1, "version_minor": 0})
    file.attrs.update({"authoring_program": "emcore", "authoring_user": ""})
    root = file.create_group(f"{named}_root")
    root.attrs.update({"emd_group_type": "root", "python_class": "Root"})
    group = root.create_group(named)
    group.attrs.update({"emd_group_type": "array", "python_class": "DataCube"})
    bundle = root.create_group("metadatabundle")
    bundle.attrs["emd_group_type"] = "metadatabundle"
    calibrated = tuple(axis.to("1/A") or axis if i > 1 else axis for i, axis in enumerate(axes))
    for i, (name, axis) in enumerate(zip(_NAMES, calibrated, strict=True)):
        dim = group.create_dataset(f"dim{i}", data=[0.0, axis.scale] if axis.even else axis.values)
        dim.attrs.update({"name": name, "units": _UNITS.get(axis.units, "pixels")})
    _metadata(bundle, "calibration", "Calibration", _calibration(calibrated) | {"_root_treepath": ""})
    targets = bundle["calibration"].create_group("_target_paths")
    targets.attrs.update({"type": "list_of_strings", "length": 1})
    targets["0"] = f"/{named}"
    if instrument:
        _metadata(bundle, "instrument", "Metadata", {"json": json.dumps(instrument)})
    return group


def _calibration(axes: tuple[Axis, ...]) -> dict[str, Any]:
    """Steps of the scan and of a pattern, and where its origin lies, in pixels."""
    values: dict[str, Any] = {"QR_flip": False}
    for letter, (first, second) in (("R", axes[:2]), ("Q", axes[2:])):
        same = first.units == second.units and abs(first.scale / second.scale - 1) < 1e-6
        known = same and first.even and second.even and first.units in _UNITS
        values[f"{letter}_pixel_size"] = second.scale if known else 1.0
        values[f"{letter}_pixel_units"] = _UNITS[second.units] if known else "pixels"
    for name, axis in zip(("qx0_mean", "qy0_mean"), axes[2:], strict=True):
        origin = -axis.offset / axis.scale
        values |= {name: origin} if 0 < origin < axis.size - 1 else {}
    return values


def _metadata(bundle: Any, name: str, cls: str, values: dict[str, Any]) -> None:
    group = bundle.create_group(name)
    group.attrs.update({"emd_group_type": "metadata", "python_class": cls})
    for key, value in values.items():
        kind = "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
        group.create_dataset(key, data=value).attrs["type"] = kind
