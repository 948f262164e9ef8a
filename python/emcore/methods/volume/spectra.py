"""
Moving-window spectra of volumes: the periodicities that a volume has around each of its voxels, and their directions.

Of every window of N × N × N voxels the transform of the periodic part (Moisan, J. Math. Imaging Vis. 39 (2011) 161),
which has no jumps at the faces and needs no taper. The kernel, its formulas and cost: `rust/methods/volume`.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import as_pixels, check_count, check_finite, check_number, check_option, check_range
from emcore.methods.power_spectra.reduction import checked_reduction
from emcore.methods.volume.settings import VolumeSettings

QUANTITIES = ("modulus", "power")
_SMALLEST = 8


class VolumeSpectra(NamedTuple):
    """
    Spectra of a volume's windows.

    Attributes
    ----------
    spectra : ndarray, shape (nz, ny, nx, ...), float32
        Zeros where a window was left out.
    z, y, x : ndarray, shapes (nz,), (ny,), (nx,), float64
        Centres of the windows in voxels; the middle of voxel 0 is 0.
    fractions : ndarray, shape (nz, ny, nx), float32
        The fraction of the phase in each window; 1 where none was given.
    """

    spectra: NDArray[np.float32]
    z: NDArray[np.float64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    fractions: NDArray[np.float32]


def windowed_power_spectra_3d(
    volume: ArrayLike,
    window: int = 50,
    step: int | None = None,
    *,
    quantity: str = "modulus",
    reduce: Any = None,
    periodic: bool = True,
    phase: tuple[float, float] | None = None,
    least: float = 0.05,
) -> VolumeSpectra:
    """
    Spectra of all windows of a volume.

    ``F(kz, ky, kx) = Σ v exp(-2πi (kz z + ky y + kx x) / N)`` over the window less its mean, or
    over its periodic part. There are ``(L - N) // step + 1`` windows along an axis of L voxels;
    what a last step leaves over is not used.

    Parameters
    ----------
    volume : array-like, shape (depth, height, width)
        Any real numeric type; read as it is, a memory map too.
    window : int, default 50
        Side N of the windows in voxels, even or odd, 8 to 256.
    step : int, optional
        Distance of neighbouring windows along every axis, at least 1. Default: ``window // 2``.
    quantity : {"modulus", "power"}
        |F| or |F|².
    reduce : None, "radial", ("crop", r), ("bin", b), ("harmonics", L) or ("degrees", L)
        Keep less than the whole; the whole array never exists. ``radial``: mean over r - 1/2 <=
        |k| < r + 1/2, for r = 0 .. N//2. ``("crop", r)``: |kz|, |ky| <= r, 0 <= kx <= r.
        ``("bin", b)``: means over b × b × b frequencies about every multiple of b, which
        divides N. ``("harmonics", L)``: coefficients a_lm of the real spherical harmonics of
        even degree l = 0, 2 .. L fitted to each shell r = 1 .. N//2 by least squares (m = -l ..
        l, polar axis along z; a real volume's spectrum has no odd ones). ``("degrees", L)``:
        Σ_m a_lm² of each shell and degree, which does not change when the volume turns. Shells
        with fewer than two frequencies a coefficient have zeros in the higher degrees.
    periodic : bool, default True
        Transform the periodic part of each window; False: the window, with the jumps at its
        faces.
    phase : (float, float), optional
        Voxels from the first to the second value are of the phase that is looked at. Default:
        all are.
    least : float, default 0.05
        Windows less of which is phase are left out.

    Returns
    -------
    VolumeSpectra
        With spectra of shape (nz, ny, nx) and (N, N, N//2 + 1), kz and ky in FFT order (zero
        first) in units of 1/(N voxels); (N//2 + 1,) for ``radial``, (2r + 1, 2r + 1, r + 1) for
        ``crop``, (N/b, N/b, N/b//2 + 1) for ``bin``, (N//2, (L + 1)(L + 2)/2) for
        ``harmonics``, (N//2, L/2 + 1) for ``degrees``. Their value at k = 0 is 0.

    Raises
    ------
    ValueError
        A window larger than the volume (the largest possible is named), an option that is not
        known, NaN or infinity in the volume (the first position is named), values whose spectra
        have no place in float32.
    TypeError
        A volume of complex numbers, objects or strings; sizes that are not whole numbers.

    References
    ----------
    L. Moisan, "Periodic plus smooth image decomposition", J. Math. Imaging Vis. 39 (2011)
    161-179. https://doi.org/10.1007/s10851-010-0227-1

    Examples
    --------
    >>> import numpy as np
    >>> import emcore
    >>> z, y, x = np.mgrid[:32, :32, :32]
    >>> planes = np.cos(2 * np.pi * (z + 0.5) / 4)
    >>> found = emcore.windowed_power_spectra_3d(planes, window=16, reduce="radial")
    >>> found.spectra.shape, int(found.spectra[0, 0, 0].argmax())
    ((3, 3, 3, 9), 4)
    """
    voxels = as_pixels(volume, "volume", 3)
    low, high = check_finite(voxels, "volume")
    check_range(low, high, "volume", 1e302, 0.0)
    window = check_window(window, voxels.shape)
    step = check_count(window // 2 if step is None else step, "step", 1)
    check_option(quantity, QUANTITIES, "quantity")
    if not isinstance(periodic, bool | np.bool_):
        raise TypeError(f"periodic={periodic!r} is a {type(periodic).__name__}; give True or False")
    if phase is not None:
        first, last = (check_number(value, "phase", -np.inf) for value in phase)
        if first > last:
            raise ValueError(f"phase={phase!r}: no value is from {first} to {last}; give the smaller one first")
        phase = first, last
    least = check_number(least, "least", 0, 1)
    reduction = checked_reduction(reduce, window, volume=True)
    settings = VolumeSettings(
        window, step, quantity, reduction, bool(periodic), phase, least, *offset_and_unit(low, high)
    )
    spectra, fractions = spectra_of(voxels, settings)
    if not np.isfinite(spectra).all():
        raise ValueError(
            f"volume has values from {low:.3g} to {high:.3g}, whose spectra are too large for float32: scale it"
        )
    z, y, x = ((window - 1) / 2 + step * np.arange(count, dtype=np.float64) for count in fractions.shape)
    return VolumeSpectra(spectra, z, y, x, fractions)


def spectra_of(voxels: NDArray[Any], settings: VolumeSettings) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Spectra of all windows of a volume that was checked, or of a slab of one, and the fraction of the phase in each.

    Parameters
    ----------
    voxels : ndarray, shape (depth, height, width)
        Finite.
    settings : VolumeSettings

    Returns
    -------
    spectra : ndarray, shape (nz, ny, nx, ...), float32
    fractions : ndarray, shape (nz, ny, nx), float32
    """
    depth, height, width = voxels.shape
    nz, ny, nx, *kept = _emcore.volume_shape((depth, height, width), settings)
    # Lengths of 1 stand for axes that what is kept does not have.
    if settings.reduce == "radial":
        kept = kept[2:]
    elif settings.reduce[0] in ("harmonics", "degrees"):
        kept = kept[1:]
    spectra = np.empty((nz, ny, nx, *kept), np.float32)
    fractions = np.empty((nz, ny, nx), np.float32)
    _emcore.volume_spectra(voxels, settings, spectra.reshape(-1), fractions.reshape(-1))
    return spectra, fractions


def check_window(window: Any, shape: tuple[int, ...]) -> int:
    """
    The side of windows that fit into a volume.

    Parameters
    ----------
    window : int
    shape : (int, int, int)
        Of the volume.

    Raises
    ------
    ValueError
        It is larger than the volume, or smaller than 8.
    """
    side: int = check_count(window, "window", _SMALLEST)
    largest = min(shape)
    if side > largest:
        raise ValueError(
            f"window={side} is larger than the volume of {' x '.join(map(str, shape))} voxels; "
            + (f"the largest possible is {largest}" if largest >= _SMALLEST else "a volume needs at least 8 x 8 x 8")
        )
    return side


def offset_and_unit(low: float, high: float) -> tuple[float, float]:
    """
    A value amid the voxels, and a power of two by which their differences stay well inside float32.

    Parameters
    ----------
    low, high : float
        The range of the values.
    """
    half = high / 2 - low / 2
    if half == 0 or 1e-9 < half < 1e9:
        return low / 2 + high / 2, 1.0
    return low / 2 + high / 2, 2.0 ** max(min(-math.frexp(half)[1], 1000), -1000)
