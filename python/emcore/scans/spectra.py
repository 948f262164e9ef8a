"""A spectrum or curve at every position: which data set of a file, which axis of it, and where its points lie."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal, default_axes
from emcore.core.units import ENERGY, OTHER, TIME, VOLTAGE, WAVENUMBER, kind_of, tidy_units
from emcore.scans.axes import arranged, one_signal_axis, scan_first, with_said, without_single_axes
from emcore.scans.choosing import measurement
from emcore.scans.grids import in_scan_shape, scan_axes
from emcore.scans.spectrum_rows import read_within


def as_spectrum_image(
    obj: Any,
    name: str = "spectrum_image",
    memory: int | str | None = None,
    *,
    signal_axis: int | str | None = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
) -> Signal:
    """A signal with its spectra along the last axis.

    Parameters
    ----------
    obj : array-like, Signal, HyperSpy signal, dictionary of RosettaSciIO or path
        Of a file with several data sets the largest with a spectrum at every position; a vector in it as long as one
        axis says where the channels lie. What is stored is neither copied nor converted.
    name : str
        The argument's name, for the message.
    memory : int or str, optional
        What a file holds is left there if it is larger; default 1 GiB.
    signal_axis : int or str, optional
        Number or name of the axis along which the spectra lie; default: see `emcore.scans.axes`.
    scan_shape : (int, int), optional
        Lines of the scan and positions in each, where the positions are one long series.
    dataset : str or int, optional
        Which data set of a file.

    Returns
    -------
    Signal
        The scan axes are named y and x, or position; the spectra's is "energy", in eV, where it is an energy, "channel"
        where nothing is known of it. Its notes say which axis was taken and why.

    Raises
    ------
    ValueError
        If there is no spectrum at several positions.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.core.signals import Axis, Signal
    >>> from emcore.scans.spectra import as_spectrum_image
    >>> axes = (Axis("E", 50, 0.01, 0.0, "keV"), Axis("y", 3), Axis("x", 4))
    >>> as_spectrum_image(Signal(np.zeros((50, 3, 4)), axes)).axes[-1]
    Axis(name='energy', size=50, scale=10.0, offset=0.0, units='eV', navigation=False)
    """
    signal = _read(obj, memory, dataset)
    if 0 in signal.shape:
        raise ValueError(f"{name} is empty, shape {signal.shape}; at least one value is needed")
    arrangement = one_signal_axis(signal, signal_axis, name)
    signal = scan_first(with_said(signal, arrangement), arrangement, name)
    signal = in_scan_shape(without_single_axes(signal, 3), scan_shape, name)
    *scan, along = signal.axes
    energy = along.to("eV")
    if energy is not None:
        along = replace(energy, name="energy")
    elif along.units == "px" and along.even and along.name not in _NAMED:
        along = replace(along, name="channel")
    return replace(signal, axes=(*scan_axes(scan), along))


# Names of axes in which positions along a spectrum are said where there is no unit.
_NAMED = ("energy", "wavelength", "time", "bias")


def _read(obj: Any, memory: Any, dataset: str | int | None) -> Signal:
    stored = type(obj).__module__.partition(".")[0] in ("h5py", "zarr")
    if stored and dataset is None and len(obj.shape) > 1:
        return Signal(obj, default_axes(tuple(obj.shape)))  # left where it is
    vectors: list[Signal] = []

    def read(path: Path) -> list[Signal]:
        datasets = read_within(path, memory)
        vectors.extend(each for each in datasets if len(each.shape) == 1)
        return datasets

    signal = measurement(obj, suits_spectra, dataset, read)
    return placed(signal, vectors)


def suits_spectra(signal: Signal) -> int:
    """How well a data set holds a spectrum at every position: 2 by its axes, 1 by their order, 0 not at all.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.io.read import as_signal
    >>> suits_spectra(as_signal(np.zeros((3, 4, 50)))), suits_spectra(as_signal(np.zeros(50)))
    (1, 0)
    """
    arrangement = arranged(signal, one_signal_axis)
    return 0 if arrangement is None else 2 if arrangement.certain else 1


def placed(signal: Signal, vectors: Sequence[Signal]) -> Signal:
    """The signal with the axis along which another array of its file says where the points lie, if there is just one.

    Its values, its unit, or the last word of its title name the unit.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.core.signals import Axis, Signal
    >>> from emcore.io.read import as_signal
    >>> bias = as_signal(np.array([0.0, 0.5, 1.0]), title="bias_V")
    >>> placed(as_signal(np.zeros((4, 5, 3))), [bias]).axes[-1]
    Axis(name='bias', size=3, scale=0.5, offset=0.0, units='V', navigation=False)
    """
    fitting = [each for each in vectors if each.shape[0] in signal.shape and each.dtype.kind in "iuf"]
    if len(fitting) != 1 or any(axis.calibrated and kind_of(axis.units) in _PLACED for axis in signal.axes):
        return signal
    (along,) = fitting
    values = np.asarray(along.data, dtype=np.float64)
    if not np.isfinite(values).all() or (len(values) > 1 and values.min() == values.max()):
        return signal
    at = max(i for i, size in enumerate(signal.shape) if size == len(values))
    name, units = _name_and_units(along)
    axis = Axis.from_values(name, values, units)
    axes = tuple(axis if i == at else replace(a, navigation=True) for i, a in enumerate(signal.axes))
    note = f"the points along axis {at} lie where {along.title!r} says"
    return replace(signal, axes=axes, flagged=True, notes=(*signal.notes, note))


_PLACED = (ENERGY, TIME, VOLTAGE, WAVENUMBER)


def _name_and_units(along: Signal) -> tuple[str, str]:
    """What a vector is called and in which unit it is: "bias_V", "energy (eV)", "ev"."""
    units = along.axes[0].units if along.axes[0].calibrated else str(along.metadata.get("units", ""))
    words = [word for word in re.split(r"[\s_()\[\]/]+", along.title.rpartition("/")[2]) if word]
    last = tidy_units(words[-1]) if words else "px"
    if kind_of(tidy_units(units)):
        return (" ".join(words) or "point"), tidy_units(units)
    if kind_of(last) not in ("", OTHER) and (len(words) > 1 or kind_of(last) == ENERGY):
        return (" ".join(words[:-1]) or "energy"), last
    return (" ".join(words) or "point"), ""
