"""What the axes of a measurement mean: scan, spectrum, pattern, picture, frames, colour.

The makers of files name, scale and flag axes each in another way. Here, for every verb, it is decided which axis is
what; by the unit first (eV is no place on a sample), then by the name, then by what the maker flags as navigation, then
by what is left beside two spatial axes that are alike, and last, of an array about which nothing is known, by the order
that NumPy users have: scan, then signal. What was decided and why is said; `signal_axis` overrules it; what cannot be
decided is refused with a list of the axes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from emcore.core.signals import Axis, Signal
from emcore.core.units import ANGLE, LENGTH, RECIPROCAL, kind_of
from emcore.core.wording import count_of
from emcore.scans.axis_kinds import (
    DETECTOR_NAMES,
    are_alike,
    colour_axis,
    has_detector_pair,
    has_two_inside,
    is_bare,
    is_flagged,
    is_spatial,
    is_spectral,
    spectral_axes,
    upright,
)

SignalAxis = int | str | Sequence[int | str] | None
"""Which axes are the signal, as users say it: the number or the name of one, or those of two of a pattern."""

SCAN, SPECTRAL, DETECTOR, PICTURE, FRAME, COLOUR = "scan", "spectral", "detector", "picture", "frame", "colour"

# A signal so much shorter than a side of its scan has perhaps been exchanged with it.
_SHORT, _SHORTER = 64, 4


@dataclass(frozen=True)
class Arrangement:
    """Which axes are the positions of a scan and which are the signal at each of them.

    Attributes
    ----------
    scan, inside : tuple of int
        Numbers of the axes, in the order of the file; of two that are called x and y, y first.
    why : str
        What told them apart: "its unit eV", "its name", "the file", "the order of the axes".
    certain : bool
        Whether more than the order of the axes told it.
    """

    scan: tuple[int, ...]
    inside: tuple[int, ...]
    why: str
    certain: bool = True


def listing(signal: Signal) -> str:
    """The axes of a signal, for a message.

    Examples
    --------
    >>> listing(Signal(np.zeros((9, 4)), (Axis("Energy", 9, 0.5, units="eV"), Axis("x", 4))))
    "axis 0 'Energy', 9 points in eV; axis 1 'x', 4 points"
    """
    return "; ".join(
        f"axis {i} {axis.name!r}, {count_of(axis.size, 'point')}" + (f" in {axis.units}" if axis.calibrated else "")
        for i, axis in enumerate(signal.axes)
    )


def one_signal_axis(signal: Signal, signal_axis: SignalAxis = None, name: str = "data") -> Arrangement:
    """Which axis is the spectrum or curve at every position.

    Parameters
    ----------
    signal : Signal
    signal_axis : int or str, optional
        Number or name of the axis, where the user says it.
    name : str
        The argument's name, for the message.

    Returns
    -------
    Arrangement
        With one axis inside.

    Raises
    ------
    ValueError
        A picture, or several axes that may be meant; the message lists the axes.

    Examples
    --------
    >>> axes = Axis("Wavelength", 90, 0.2, 470.0, "nm"), Axis("y", 4, 0.5, units="um"), Axis("x", 5, 0.5, units="um")
    >>> one_signal_axis(Signal(np.zeros((90, 4, 5)), axes))
    Arrangement(scan=(1, 2), inside=(0,), why='its name', certain=True)
    """
    if signal_axis is not None:
        return _asked(signal, signal_axis, 1, name)
    axes = signal.axes
    if len(axes) < 2:
        raise ValueError(
            f"{name} has shape {signal.shape}: a spectrum or curve at every position is needed, (y, x, channels) "
            "or (n, channels)"
        )
    if colour_axis(signal) is not None:
        raise ValueError(f"{name} is a picture in colour, without a spectrum at every position: {listing(signal)}")
    candidates, why = spectral_axes(signal)
    if len(candidates) > 1:
        raise ValueError(
            f"{name} has several axes that may be the signal: {listing(signal)}; say which with signal_axis=, "
            "and take one point or the sum of the others first"
        )
    if candidates:
        return _rest(signal, candidates, why)
    free = [i for i, axis in enumerate(axes) if axis.size > 1] or list(range(len(axes)))
    if is_flagged(signal):
        inside = [i for i, axis in enumerate(axes) if not axis.navigation]
        if len(inside) == 1 and len(axes) > 1:
            return _rest(signal, inside, "the file")
        if len(inside) == 2 and len(free) == 2:
            raise _no_spectrum(signal, name)
        if len(inside) != 1 and len(inside) != len(axes):
            raise ValueError(
                f"{name} has {len(inside)} signal axes where one is needed: {listing(signal)}; "
                "signal_axis= takes one axis as the signal and the others as the scan"
            )
    elif not is_bare(signal):
        spatial = [i for i in free if is_spatial(axes[i])]
        left = [i for i in free if i not in spatial]
        if len(spatial) == 2 and len(left) == 1 and are_alike(axes[spatial[0]], axes[spatial[1]]):
            return _rest(signal, left, "two spatial axes beside it")
        one, other = axes[free[0]], axes[free[-1]]
        if len(free) == 2 and are_alike(one, other) and (len(spatial) == 2 or kind_of(one.units)):
            raise _no_spectrum(signal, name)
    return _rest(signal, [len(axes) - 1], "the order of the axes", certain=False)


def _no_spectrum(signal: Signal, name: str) -> ValueError:
    return ValueError(
        f"{name} is a picture, without a spectrum at every position: {listing(signal)}; "
        "signal_axis= says it where one of them is a signal"
    )


def two_signal_axes(signal: Signal, signal_axis: SignalAxis = None, name: str = "patterns") -> Arrangement:
    """Which two axes are the pattern at every position.

    Raises
    ------
    ValueError
        One picture, or spectra; the message lists the axes.

    Examples
    --------
    >>> axes = tuple(Axis(n, 5, 0.1, units=u) for n, u in (("ky", "1/nm"), ("kx", "1/nm"), ("y", "nm"), ("x", "nm")))
    >>> two_signal_axes(Signal(np.zeros((5, 5, 5, 5)), axes)).inside
    (0, 1)
    """
    if signal_axis is not None:
        return _asked(signal, signal_axis, 2, name)
    axes = signal.axes
    if len(axes) < 3:
        raise ValueError(f"{name} has shape {signal.shape}: one picture is no scan, (y, x, ky, kx) is needed")
    strong = [i for i, axis in enumerate(axes) if is_spectral(axis) and axis.size > 1]
    if strong:
        axis = axes[strong[0]]
        raise ValueError(
            f"{name} holds a spectrum or curve of {axis.size} points along {axis.name!r} at every position, "
            f"no patterns: a pattern has two axes; {listing(signal)}"
        )
    for kinds in ((RECIPROCAL,), (ANGLE,)):
        inside = [i for i, axis in enumerate(axes) if kind_of(axis.units) in kinds]
        if len(inside) == 2:
            return _rest(signal, inside, f"their unit {axes[inside[0]].units}")
    inside = [i for i, axis in enumerate(axes) if axis.name.lower() in DETECTOR_NAMES]
    if len(inside) == 2:
        return _rest(signal, inside, "their names")
    inside = [i for i, axis in enumerate(axes) if not axis.navigation]
    if is_flagged(signal) and len(inside) == 1 and len(axes) > 2:
        raise ValueError(
            f"{name} holds a spectrum or curve of {axes[inside[0]].size} points at every position, no patterns: "
            f"a pattern has two axes; {listing(signal)}"
        )
    if is_flagged(signal) and len(inside) == 2:
        return _rest(signal, inside, "the file")
    beside = [i for i, axis in enumerate(axes) if kind_of(axis.units) != LENGTH]
    if not is_flagged(signal) and len(axes) == 4 and len(beside) == 2:
        return _rest(signal, beside, "two lengths beside them")
    return _rest(signal, [len(axes) - 2, len(axes) - 1], "the order of the axes", certain=False)


def picture_axes(signal: Signal, framed: bool = False) -> tuple[Arrangement, int | None]:
    """Which two axes are a picture, which others count pictures, and which is colour (None if none is).

    Parameters
    ----------
    signal : Signal
    framed : bool
        Whether the user has said which picture of a stack is meant: then one channel of a spectrum image is a picture.

    Raises
    ------
    ValueError
        Spectra, or a single axis.
    """
    axes, colour = signal.axes, colour_axis(signal)
    free = [i for i in range(len(axes)) if i != colour]
    if len(free) < 2:
        raise ValueError(f"{signal.name} has shape {signal.shape}: an image needs two dimensions")
    candidates = [i for i in free if is_spectral(axes[i]) and axes[i].size > 1]
    lengths = [i for i in free if is_spatial(axes[i]) and i not in candidates]
    inside = [i for i in free if not axes[i].navigation]
    if not candidates and len(free) == 3 and is_flagged(signal) and len(inside) == 1:
        candidates = inside
    if candidates and (not framed or len(free) - len(candidates) < 2):
        axis = axes[candidates[0]]
        raise ValueError(
            f"{signal.name} holds a spectrum of {axis.size} points along {axis.name!r} at every position, not an "
            f"image: {listing(signal)}. Choose another data set of the file with dataset=, one channel with frame=, or "
            "sum over the spectrum first"
        )
    if candidates:
        planes, why = [i for i in free if i not in candidates][-2:], "what is no spectrum"
    elif is_flagged(signal) and len(inside) == 2:
        planes, why = inside, "the file"
    elif len(lengths) == 2 and are_alike(axes[lengths[0]], axes[lengths[1]]) and not is_bare(signal):
        planes, why = lengths, "two spatial axes"
    else:
        planes, why = free[-2:], "the order of the axes"
    stack = tuple(i for i in free if i not in planes)
    return Arrangement(stack, upright(signal, planes), why, why != "the order of the axes"), colour


def scan_and_signal(signal: Signal, name: str, signal_axis: SignalAxis = None) -> Arrangement:
    """Scan axes and signal axes, one or two of them, of a signal of any kind."""
    axes = signal.axes
    if signal_axis is not None:
        count = 1 if isinstance(signal_axis, int | str | np.integer) else len(signal_axis)
        return _asked(signal, signal_axis, count, name)
    if len(axes) < 2:
        raise ValueError(f"{name} has shape {signal.shape}: a signal at every scan position is needed, (y, x, ...)")
    if spectral_axes(signal)[0] or len(axes) < 3 or (len(axes) == 3 and not has_two_inside(signal)):
        return one_signal_axis(signal, name=name)
    inside = [i for i, axis in enumerate(axes) if not axis.navigation]
    if is_flagged(signal) and len(inside) == 1:
        return _rest(signal, inside, "the file")
    return two_signal_axes(signal, name=name)


def roles(signal: Signal) -> tuple[str, ...]:
    """What each axis is taken for where no verb has been named: SCAN, SPECTRAL, DETECTOR, PICTURE, FRAME or COLOUR.

    Examples
    --------
    >>> roles(Signal(np.zeros((9, 4, 5)), (Axis("Energy", 9, 0.5, units="eV"), Axis("y", 4), Axis("x", 5))))
    ('spectral', 'scan', 'scan')
    """
    axes, colour = signal.axes, colour_axis(signal)
    named = ["" for _ in axes]
    candidates, _ = spectral_axes(signal)
    inside = [i for i, axis in enumerate(axes) if not axis.navigation and i != colour]
    if colour is not None:
        named[colour] = COLOUR
        planes = [i for i in range(len(axes)) if i != colour][-2:]
        return tuple(name or (PICTURE if i in planes else FRAME) for i, name in enumerate(named))
    if len(axes) == 1:
        return (SPECTRAL,)
    if candidates:
        return tuple(SPECTRAL if i in candidates else SCAN for i in range(len(axes)))
    if is_flagged(signal) and len(inside) == 1:
        return tuple(SPECTRAL if i in inside else SCAN for i in range(len(axes)))
    if len(axes) >= 3 and (len(axes) >= 4 or has_detector_pair(signal)):
        arrangement = two_signal_axes(signal)
        return tuple(DETECTOR if i in arrangement.inside else SCAN for i in range(len(axes)))
    planes = [i for i in range(len(axes)) if not is_spectral(axes[i])][-2:]
    if len(planes) == 2:
        planes = list(picture_axes(signal, framed=True)[0].inside)
    return tuple(PICTURE if i in planes else FRAME for i in range(len(axes)))


def arranged(signal: Signal, ask: Callable[[Signal], Arrangement]) -> Arrangement | None:
    """What `ask` says of the axes; None of data that are no real numbers, and where it refuses them.

    Examples
    --------
    >>> arranged(Signal(np.zeros(5), (Axis("x", 5),)), one_signal_axis) is None
    True
    """
    if signal.dtype.kind not in "biuf":
        return None
    try:
        return ask(signal)
    except ValueError:
        return None


def without_single_axes(signal: Signal, most: int) -> Signal:
    """The signal without axes of a single point, which say nothing, as long as it has more than `most`.

    Examples
    --------
    >>> axes = tuple(Axis(f"a{i}", n) for i, n in enumerate((1, 1, 3, 4, 9)))
    >>> without_single_axes(Signal(np.zeros((1, 1, 3, 4, 9)), axes), 3).shape
    (3, 4, 9)
    """
    data, axes = signal.data, list(signal.axes)
    for i in reversed(range(len(axes))):
        if axes[i].size == 1 and len(axes) > most:
            data, _ = data.reshape(data.shape[:i] + data.shape[i + 1 :]), axes.pop(i)
    return replace(signal, data=data, axes=tuple(axes))


def scan_first(signal: Signal, arrangement: Arrangement, name: str) -> Signal:
    """The signal with its scan axes first, those of its signal last, flagged so; its data are a view.

    Raises
    ------
    ValueError
        If data that are left in a file would have to be transposed.
    """
    order = (*arrangement.scan, *arrangement.inside)
    data: Any = signal.data
    if order != tuple(range(len(order))):
        if not hasattr(data, "transpose"):
            raise ValueError(
                f"{name} has its signal not along the last axes ({listing(signal)}), and is left in the file: store it "
                "with the signal last, or allow more memory"
            )
        data = data.transpose(order)
    axes = tuple(replace(signal.axes[i], navigation=i in arrangement.scan) for i in order)
    return replace(signal, data=data, axes=axes, flagged=True)


def said(signal: Signal, arrangement: Arrangement) -> tuple[str, ...]:
    """What was decided and why, for the notes of a result; a warning where signal and scan may be exchanged."""
    axes = signal.axes
    bare = is_bare(signal)
    inside = " and ".join(
        f"axis {i} ({count_of(axes[i].size, 'point')})" if bare else _spoken(axes[i]) for i in arrangement.inside
    )
    scan = " x ".join(str(axes[i].size) for i in arrangement.scan)
    notes: tuple[str, ...] = (f"{_SAID}{inside}, by {arrangement.why}; scan of {scan} position{'s' * (scan != '1')}",)
    sizes = [axes[i].size for i in arrangement.scan]
    short = int(np.prod([axes[i].size for i in arrangement.inside]))
    if not arrangement.why.startswith(("its", "their", "signal_axis")) and short < _SHORT and sizes:
        longest = max(sizes)
        if longest > _SHORTER * short and int(np.prod(sizes)) > _SHORT * short:
            notes += (
                f"the signal has {short} points, a side of the scan {longest}: if signal and scan are exchanged, "
                "signal_axis= says which axis is the signal",
            )
    return notes


def with_said(signal: Signal, arrangement: Arrangement) -> Signal:
    """The signal with `said` among its notes; of one that was arranged before, as it is."""
    if any(note.startswith(_SAID) for note in signal.notes):
        return signal
    return replace(signal, notes=(*signal.notes, *said(signal, arrangement)))


_SAID = "axes: signal along "


def _spoken(axis: Axis) -> str:
    return f"{axis.name!r} ({count_of(axis.size, 'point')}{f' in {axis.units}' if axis.calibrated else ''})"


def _rest(signal: Signal, inside: Sequence[int], why: str, certain: bool = True) -> Arrangement:
    scan = [i for i in range(len(signal.axes)) if i not in inside]
    return Arrangement(upright(signal, scan), upright(signal, inside), why, certain)


def _asked(signal: Signal, signal_axis: SignalAxis, count: int, name: str) -> Arrangement:
    single = isinstance(signal_axis, int | str | np.integer) and not isinstance(signal_axis, bool)
    asked = [signal_axis] if single else list(signal_axis) if isinstance(signal_axis, list | tuple) else None
    if asked is None:
        raise TypeError(f"signal_axis must be the number or the name of an axis, found {signal_axis!r}")
    observed = []
    for one in asked:
        matches = [i for i, axis in enumerate(signal.axes) if isinstance(one, str) and axis.name.lower() == one.lower()]
        if isinstance(one, str) and one.lstrip("-").isdigit() and not matches:
            one = int(one)
        if isinstance(one, int | np.integer) and -len(signal.axes) <= one < len(signal.axes):
            matches = [int(one) % len(signal.axes)]
        if len(matches) != 1:
            raise ValueError(f"signal_axis={one!r} is not an axis of {name}; there are {listing(signal)}")
        observed.append(matches[0])
    if len(set(observed)) != count:
        needed = "one axis is" if count == 1 else f"{count} axes are"
        raise ValueError(
            f"signal_axis={signal_axis!r} names {len(set(observed))}, {needed} needed of {listing(signal)}"
        )
    if len(observed) == len(signal.axes):
        raise ValueError(f"signal_axis={signal_axis!r} leaves no scan: {name} has {listing(signal)}")
    return _rest(signal, sorted(observed) if count > 1 else observed, "signal_axis")
