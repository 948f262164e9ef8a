"""Which three axes of a measurement are those of a volume, and in which order.

Three axes are a volume where none of them is a spectrum, a time, a tilt or colour, and no two are those of a pattern:
what their units and names do not say of a stack of pictures, the user says by asking for a volume.
"""

from dataclasses import replace
from typing import Any

from emcore.core.signals import Signal, in_common_units
from emcore.core.units import LENGTH, kind_of
from emcore.core.wording import quantity
from emcore.scans.axes import Arrangement, arranged, listing, without_single_axes
from emcore.scans.axis_kinds import ACROSS, DOWN, colour_axis, has_detector_pair, is_bare, is_spectral

_DEPTH = ("z", "depth", "slice", "slices", "plane", "section", "axis_0")
# Edges of a voxel that differ by less than this part are alike.
_ALIKE = 0.01


def volume_axes(signal: Signal) -> Arrangement:
    """The three axes of a volume, in the order z, y, x, as those of one measurement.

    Raises
    ------
    ValueError
        Another number of axes, or one along which no volume lies; the message lists them.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> import numpy as np
    >>> volume_axes(as_signal(np.zeros((4, 5, 6)))).inside
    (0, 1, 2)
    """
    axes, colour = signal.axes, colour_axis(signal)
    if colour is not None:
        raise ValueError(f"{signal.name} is in colour, no volume of one value a voxel: {listing(signal)}")
    if len(axes) != 3:
        what = "take one volume of the series, as in array[0]" if len(axes) > 3 else "a volume has three axes"
        raise ValueError(f"{signal.name} has {len(axes)} axes, no volume: {listing(signal)}; {what}")
    for axis in axes:
        if is_spectral(axis) or kind_of(axis.units) not in ("", LENGTH):
            raise ValueError(f"{signal.name} is no volume, {axis.name!r} is no length: {listing(signal)}")
    if has_detector_pair(signal):
        raise ValueError(f"{signal.name} holds patterns, no volume: {listing(signal)}")
    names = [axis.name.lower() for axis in axes]
    places = [next((i for i, name in enumerate(names) if name in among), None) for among in (_DEPTH, DOWN, ACROSS)]
    if None not in places and not is_bare(signal):
        z, y, x = (int(i) for i in places if i is not None)
        return Arrangement((), (z, y, x), "their names")
    lengths = all(kind_of(axis.units) == LENGTH for axis in axes)
    return Arrangement((), (0, 1, 2), "three lengths" if lengths else "the order of the axes", lengths)


def suits_volume(signal: Signal) -> int:
    """How well a data set is a volume: 2 a calibrated one, 1 another one, 0 none.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> import numpy as np
    >>> suits_volume(as_signal(np.zeros((4, 5, 6)))), suits_volume(as_signal(np.zeros((5, 6))))
    (1, 0)
    """
    signal = without_single_axes(signal, 3)
    arrangement = arranged(signal, volume_axes)
    if arrangement is None or min(signal.shape) < 2:
        return 0
    return 2 if all(axis.calibrated for axis in signal.axes) else 1


def select_volume(signal: Signal) -> Signal:
    """A signal as a volume with axes z, y, x in one unit; what was decided is among its notes.

    Its data are as they were given, in memory or not.

    Raises
    ------
    ValueError
        See `volume_axes`; axes of a volume left in a file that would have to be transposed.

    Examples
    --------
    >>> from emcore.io.read import as_signal
    >>> import numpy as np
    >>> volume = select_volume(as_signal(np.zeros((4, 5, 6))))
    >>> [axis.name for axis in volume.axes], volume.notes
    (['z', 'y', 'x'], ('axes: volume along axes 0, 1, 2, by the order of the axes',))
    """
    signal = without_single_axes(signal, 3)
    arrangement = volume_axes(signal)
    order, data = arrangement.inside, signal.data
    if order != (0, 1, 2):
        if not hasattr(data, "transpose"):
            raise ValueError(
                f"{signal.name} has its axes not in the order z, y, x ({listing(signal)}), and is left in the file: "
                "store it so, or give it as an array in memory"
            )
        data: Any = data.transpose(order)  # type: ignore[no-redef]
    named = tuple(
        replace(signal.axes[i], name=name, navigation=False) for i, name in zip(order, ("z", "y", "x"), strict=True)
    )
    common = in_common_units(named)
    notes: tuple[str, ...] = (f"axes: volume along axes {', '.join(map(str, order))}, by {arrangement.why}",)
    if common is None:  # one of them is not calibrated: none counts
        unknown = [axis.name for axis in named if not axis.calibrated]
        if 0 < len(unknown) < len(named):
            notes += (f"the file says no length along {' and '.join(unknown)}: all lengths are in voxels",)
        common = tuple(replace(axis, scale=1.0, offset=0.0, units="px", points=None) for axis in named)
    edges = [abs(axis.scale) for axis in common]
    if max(edges) > (1 + _ALIKE) * min(edges):
        sizes = " × ".join(quantity(edge, common[0].units) for edge in reversed(edges))
        notes += (f"voxels are no cubes ({sizes}): spectra change as textures turn; resample the volume to cubes",)
    return replace(signal, data=data, axes=common, notes=(*signal.notes, *notes), flagged=True)
