"""What can be told of an axis by its unit, its name and its maker's flag."""

from collections.abc import Sequence

from emcore.core.signals import Axis, Signal, default_axes
from emcore.core.units import ANGLE, ENERGY, FREQUENCY, LENGTH, OTHER, RECIPROCAL, TIME, VOLTAGE, WAVENUMBER, kind_of

SPECTRAL_KINDS = (ENERGY, WAVENUMBER, VOLTAGE, FREQUENCY)
"""Along none of these does a scan go."""
# fmt: off
SPECTRAL_NAMES = frozenset((
    "energy", "energy loss", "energyloss", "energy_loss", "eloss", "e", "ev", "loss", "wavelength", "lambda",
    "wavenumber", "raman shift", "bias", "voltage", "potential", "spectrum", "spectral", "spectra", "channel",
    "channels", "signal", "eds", "edx", "eels", "photon energy", "binding energy", "bias voltage", "sample bias",
    "dc bias", "bias (v)", "frequency", "hv", "c", "x-ray energy", "photon_energy", "kinetic energy", "energy_ev",
    "e (ev)", "energy (ev)", "energy (kev)", "wavelength (nm)", "bias_v", "bias (mv)", "lambda (nm)", "raman",
    "wavenumbers", "electron energy loss",
))
"""Along these lies a signal."""
WEAK_NAMES = frozenset((
    "time", "delay", "t", "time delay", "angle", "temperature", "field", "distance", "depth", "point", "points",
))
"""Along these a signal or a series may lie."""
COLOUR_NAMES = frozenset((
    "rgb", "rgba", "bgr", "bgra", "colour", "color", "colours", "colors", "rgb(a)",
))
"""Red, green, blue, and perhaps opacity."""
DETECTOR_NAMES = frozenset((
    "kx", "ky", "qx", "qy", "q_x", "q_y", "dx", "dy", "k_x", "k_y", "detector_x", "detector_y", "det_x", "det_y",
    "detx", "dety", "kx_rec", "ky_rec", "theta_x", "theta_y", "q1", "q2", "kikuchi_x", "kikuchi_y", "diff_x",
    "diff_y", "u", "v", "diffraction_x", "diffraction_y",
))
"""The two axes of a pattern."""
SPATIAL_NAMES = frozenset((
    "x", "y", "scan_x", "scan_y", "width", "height", "position", "scan", "row", "rows", "column", "columns",
    "line", "rx", "ry", "r_x", "r_y", "x position", "y position", "probe_x", "probe_y", "scan x", "scan y",
))
"""The two axes of a picture or a scan."""
ACROSS = frozenset((
    "x", "width", "column", "columns", "scan_x", "scan x", "rx", "r_x", "x position", "probe_x", "kx", "qx", "q_x",
    "k_x", "dx", "detector_x", "det_x", "detx", "theta_x", "diff_x", "diffraction_x", "kikuchi_x", "u",
))
"""The one of two axes along which a line runs."""
DOWN = frozenset(name.replace("x", "y") for name in ACROSS) | frozenset(("height", "row", "rows", "line", "v"))
"""The other."""
# fmt: on
# Letters and words that mean other things, too.
_VAGUE = ("c", "e", "channel", "channels", "signal")


def is_bare(signal: Signal) -> bool:
    """Whether nothing is known of the axes but their order."""
    return not signal.flagged and signal.axes == default_axes(signal.shape)


def is_flagged(signal: Signal) -> bool:
    """Whether its maker says what is navigation: the file, or who made a signal with axes of its own."""
    return signal.flagged or (not signal.source and not is_bare(signal))


def colour_axis(signal: Signal) -> int | None:
    named = [i for i, a in enumerate(signal.axes) if a.size in (3, 4) and a.name.lower() in COLOUR_NAMES]
    return named[0] if len(named) == 1 else None


def is_spectral(axis: Axis) -> bool:
    """Whether no scan goes along it, by its unit or its name."""
    kind = kind_of(axis.units)
    if kind in SPECTRAL_KINDS:
        return True
    return named_spectral(axis) and kind in ("", OTHER, LENGTH, TIME) and axis.name.lower() not in _VAGUE


def named_spectral(axis: Axis) -> bool:
    """Whether it is called as spectra are; a channel of 3 or 4 is perhaps a colour."""
    name = axis.name.lower()
    return name in SPECTRAL_NAMES and not (name in ("c", "channel", "channels") and axis.size < 5)


def spectral_axes(signal: Signal) -> tuple[list[int], str]:
    """The axes that may be a spectrum by what is known of them, and what that is."""
    axes = [(i, axis) for i, axis in enumerate(signal.axes) if axis.size > 1]
    by_unit = [i for i, axis in axes if kind_of(axis.units) in SPECTRAL_KINDS]
    if by_unit:
        return by_unit, f"its unit {signal.axes[by_unit[0]].units}"
    bare = is_bare(signal)
    two = is_flagged(signal) and sum(not axis.navigation for axis in signal.axes) == 2
    by_name = [i for i, axis in axes if named_spectral(axis) and not bare and not (two and axis.name.lower() in _VAGUE)]
    if by_name:
        return by_name, "its name"
    # A length in other units than two that are alike, or one that is no length, beside them.
    for kind in (TIME, ANGLE, RECIPROCAL, OTHER):
        odd = [i for i, axis in axes if kind_of(axis.units) == kind]
        if len(odd) == 1 and len(axes) > 1 and not two and signal.axes[odd[0]].name.lower() not in ("frame",):
            beside = [axis for i, axis in axes if i != odd[0]]
            if all(kind_of(axis.units) in ("", LENGTH) for axis in beside) and len(beside) < 3:
                return odd, f"its unit {signal.axes[odd[0]].units}"
    weak = [i for i, axis in axes if axis.name.lower() in WEAK_NAMES]
    if len(weak) == 1 and not bare and not is_flagged(signal):
        return weak, "its name"
    lengths = [(i, axis) for i, axis in axes if kind_of(axis.units) == LENGTH]
    if len(lengths) == len(axes) == 3:
        units = [axis.units for _, axis in lengths]
        odd = [i for i, axis in lengths if units.count(axis.units) == 1]
        if len(odd) == 1 and signal.axes[odd[0]].name.lower() not in (*SPATIAL_NAMES, "z"):
            return odd, f"its unit {signal.axes[odd[0]].units} beside a scan in others"
    return [], ""


def upright(signal: Signal, pair: Sequence[int]) -> tuple[int, ...]:
    """Two axes in the order y, x where their names tell which is which; others as they are.

    Examples
    --------
    >>> import numpy as np
    >>> upright(Signal(np.zeros((2, 3)), (Axis("x", 2), Axis("y", 3))), (0, 1))
    (1, 0)
    """
    names = [signal.axes[i].name.lower() for i in pair]
    if len(names) == 2 and names[0] in ACROSS and names[1] in DOWN:
        return (pair[1], pair[0])
    return tuple(pair)


def is_spatial(axis: Axis) -> bool:
    kind = kind_of(axis.units)
    return kind == LENGTH or (kind == "" and axis.name.lower() in SPATIAL_NAMES)


def are_alike(a: Axis, b: Axis) -> bool:
    return kind_of(a.units) == kind_of(b.units) and (a.calibrated == b.calibrated)


def has_detector_pair(signal: Signal) -> bool:
    """Whether two axes are those of a pattern, by their units, their names, or what the third one counts."""
    kinds = [kind_of(axis.units) for axis in signal.axes]
    named = sum(axis.name.lower() in DETECTOR_NAMES for axis in signal.axes)
    counted = len(signal.axes) == 3 and any(axis.name.lower() in ("pattern", "patterns") for axis in signal.axes)
    return kinds.count(RECIPROCAL) == 2 or kinds.count(ANGLE) == 2 or named == 2 or counted


def has_two_inside(signal: Signal) -> bool:
    """Whether three axes are a series of patterns, by what is known of them."""
    inside = sum(not axis.navigation for axis in signal.axes)
    return has_detector_pair(signal) or (is_flagged(signal) and inside == 2)
