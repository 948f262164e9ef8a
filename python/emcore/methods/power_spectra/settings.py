"""How the power spectra of windows are computed, as the kernel takes it."""

from typing import NamedTuple

Scale = str | tuple[str, float]
"""``"power"``, ``"amplitude"``, ``"log"``, ``("log-plus", c)`` or ``("log-over", c)``."""
Reduction = str | tuple[str, int]
"""``"none"``, ``"radial"``, ``("crop", r)`` or ``("bin", b)``."""


class Settings(NamedTuple):
    """
    How spectra are computed.

    Parameters
    ----------
    window : int
        Side of the windows in pixels.
    step : int
        Distance of neighbouring windows in pixels.
    taper : str
        The window function.
    subtract_mean : bool
        Subtract each window's mean first.
    scale : str or (str, float)
        What is returned of a power.
    reduce : str or (str, int)
        What is kept of a spectrum.
    unit : float
        Pixel values are multiplied by it and powers divided by its square.
    """

    window: int
    step: int
    taper: str
    subtract_mean: bool
    scale: Scale
    reduce: Reduction
    unit: float
