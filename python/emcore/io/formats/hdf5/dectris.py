"""Dectris' detectors (ARINA, ELA, QUADRO, EIGER): a master file with links to the files of the patterns beside it.

The flat field and the pixel mask in the master file are no measurement.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.io.errors import BadFile
from emcore.io.formats.hdf5.arrays import Access, check_readable, made, number, one_value
from emcore.io.instrument import about
from emcore.io.optional import dask_array

_PART = re.compile(r"data(_\d+)?$")
_PHOTONS = 2e4  # eV: X-rays in a laboratory have less
_DATA, _DETECTOR = "entry/data", "entry/instrument/detector"


def is_dectris(file: Any) -> bool:
    """Whether a file is the master of a series: it has the detector's settings, and links to patterns."""
    return f"{_DETECTOR}/detectorSpecific" in file and _DATA in file and bool(_parts(file))


def _parts(file: Any) -> list[str]:
    return sorted(name for name in file[_DATA] if _PART.match(name))


def read_dectris(file: Any, path: Path, access: Access) -> list[Signal]:
    """All patterns of a series, in their order, (patterns, y, x)."""
    group, arrays = file[_DATA], []
    for name in _parts(file):
        try:
            arrays.append(group[name])
        except (KeyError, OSError) as error:
            link = group.get(name, getlink=True)
            where = getattr(link, "filename", name)
            if (path.parent / where).exists():
                raise BadFile(f"{path} links to {where}, which cannot be opened: {error}") from error
            raise BadFile(f"{path} holds no patterns, they are in {where}, which must lie beside it") from error
    for array in arrays:
        check_readable(array)
    if len({array.shape[1:] for array in arrays}) > 1:
        raise BadFile(f"{path} links to patterns of different sizes: {', '.join(str(array.shape) for array in arrays)}")
    parts = [access.take(arrays[0], 2)] if len(arrays) == 1 else [access.movable(array, 2) for array in arrays]
    data = parts[0]
    if len(parts) > 1:
        data = (dask_array().concatenate if access.lazy else np.concatenate)(parts)
    names = ("pattern", "y", "x")[-len(data.shape) :]
    axes = [Axis(name, size, navigation=name == "pattern") for name, size in zip(names, data.shape, strict=True)]
    title = f"{_DATA}/{_parts(file)[0].partition('_')[0]}"
    return [made(axes, data, title, flagged=True, metadata=about(_described(file[_DETECTOR])))]


def _described(detector: Any) -> dict[str, Any]:
    """What the detector's settings say; an energy that photons do not have is that of electrons."""
    settings = detector["detectorSpecific"]
    energy = number(one_value(settings.get("photon_energy")), 0.0)
    date, _, time = str(one_value(settings.get("data_collection_date")) or "").partition("T")
    camera = {"name": one_value(detector.get("description")), "exposure": one_value(detector.get("count_time"))}
    return {
        "General": {"date": date, "time": time},
        "Signal": {"signal_type": "electron_diffraction"},
        "Acquisition_instrument": {
            "TEM": {"beam_energy": energy / 1e3 if energy > _PHOTONS else None, "Detector": {"Camera": camera}}
        },
    }
