"""Which copies of a patch are compared, as the kernels take it."""

from typing import NamedTuple


class Translations(NamedTuple):
    """
    Shifted copies.

    Parameters
    ----------
    patch : int
        The patch reaches so many pixels from its point.
    stride : int
        Pixels between neighbouring points.
    shifts : list of (int, int)
        Along y and x, in pixels.
    largest : int or None
        Give only the so many largest scores of a point.
    """

    patch: int
    stride: int
    shifts: list[tuple[int, int]]
    largest: int | None


class Turns(NamedTuple):
    """
    Turned and reflected copies.

    Parameters
    ----------
    patch : int
        Radius of the patch in pixels.
    stride : int
        Pixels between neighbouring points.
    folds : list of int
        Orders of rotation axes.
    planes : int
        Mirror lines.
    """

    patch: int
    stride: int
    folds: list[int]
    planes: int
