"""How the power spectra of a volume's windows are computed, as the kernel takes it."""

from typing import NamedTuple

Reduction = str | tuple[str, int]
"""``"none"``, ``"radial"``, ``("crop", r)``, ``("bin", b)``, ``("harmonics", L)`` or ``("degrees", L)``."""


class VolumeSettings(NamedTuple):
    """
    How spectra are computed.

    Parameters
    ----------
    window : int
        Side of the windows in voxels.
    step : int
        Distance of neighbouring windows in voxels, along every axis.
    quantity : str
        ``"power"`` or ``"modulus"``.
    reduce : str or (str, int)
        What is kept of a spectrum.
    periodic : bool
        Transform the periodic part of each window.
    phase : (float, float) or None
        Voxels from the first to the second value are of the phase; None: all are.
    least : float
        Windows less of which is phase are left out.
    offset : float
        A value near the mean of all voxels.
    unit : float
        Voxel values are multiplied by it, and spectra divided by it or its square.
    """

    window: int
    step: int
    quantity: str
    reduce: Reduction
    periodic: bool
    phase: tuple[float, float] | None
    least: float
    offset: float
    unit: float
