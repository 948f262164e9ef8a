"""
Moving-window power spectra: the periodicities that an image has around each of its points, and their axes.

Every window of N × N pixels is tapered and Fourier-transformed; the squared modulus is a 4-D array of two real-space
and two reciprocal-space axes (Jany, Janas & Krok, Micron 130 (2020) 102800). A real image has a spectrum that is
symmetric through zero, so only kx = 0 .. N/2 is kept: `half_plane_weights` says how often each kept frequency stands in
the full plane, `full_plane` restores it.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore import _emcore
from emcore.core.validation import as_pixels, check_count, check_finite, check_option, check_range, check_shape
from emcore.methods.power_spectra.on_dask import range_of_lazy, spectra_of_lazy
from emcore.methods.power_spectra.reduction import checked_reduction
from emcore.methods.power_spectra.settings import Scale, Settings

TAPERS = ("hann", "hann-symmetric", "sqrt-hann", "hamming", "none")
SCALES = ("log", "power", "amplitude")
PRESETS = ("jany",)
JANY_OFFSET = 10000.0
# Sums of a row of smaller pixels are numbers.
_LARGEST = 1e302

Reduce = Literal["radial"] | tuple[str, int] | None


def windowed_power_spectra(
    image: ArrayLike,
    window: int = 128,
    step: int | None = None,
    taper: str = "hann",
    subtract_mean: bool = True,
    scale: str = "log",
    *,
    preset: str | None = None,
    reduce: Reduce = None,
) -> Any:
    """
    Power spectra of all windows of an image.

    ``P[i, j, ky, kx] = |Σ t(y) t(x) (I - μ) exp(-2πi (ky y + kx x) / N)|²`` over the window
    whose first pixel is ``[i * step, j * step]``, t the taper and μ the window's mean. There
    are ``(L - N) // step + 1`` windows along an axis of L pixels; pixels that a last step
    leaves over are not used.

    Parameters
    ----------
    image : array-like, shape (height, width)
        Any real numeric type; read as it is, a memory map too. Of a Dask array the spectra are
        one again, whose blocks are strips of windows, computed when they are asked for; with
        ``scale="log"`` twice before, to find the median.
    window : int, default 128
        Side N of the windows in pixels, even or odd, at least 8.
    step : int, optional
        Distance of neighbouring windows in pixels, at least 1. Default: ``window // 4``
        (``window // 2`` with ``preset="jany"``).
    taper : {"hann", "hann-symmetric", "sqrt-hann", "hamming", "none"}
        Window function of each axis, n = 0 .. N-1: ``hann`` (1 - cos(2πn/N))/2;
        ``hann-symmetric`` the same with N-1 for N; ``sqrt-hann`` sin(πn/(N-1)); ``hamming``
        0.54 - 0.46 cos(2πn/N); ``none`` 1.
    subtract_mean : bool, default True
        Subtract each window's mean before the taper. Without it the brightness leaks into the
        lowest frequencies.
    scale : {"log", "power", "amplitude"}
        ``log``: ln(1 + P/c), c the median of P over the whole output (`spectra_and_offset`
        returns it); should more than half of P be zero, the median of the others. A constant
        image gives zeros. ``power``: P. ``amplitude``: √P.
    preset : {"jany"}, optional
        The settings of the paper: taper ``sqrt-hann``, the mean kept, ``step = window // 2``
        unless given, ln(P + 10000). The constant belongs to 8-bit images: an image of another
        type is first stretched linearly to 0 .. 255. `taper`, `subtract_mean` and `scale` must
        then be left at their defaults.
    reduce : None, "radial", ("crop", r) or ("bin", b)
        Keep less than the whole spectrum; the whole array never exists, and the scale (with the
        median c) is applied to the reduced powers. ``radial``: mean over the frequencies of the
        full plane with r - 1/2 <= |k| < r + 1/2, for r = 0 .. N//2; those further out, in the
        corners, are dropped. ``("crop", r)``: frequencies |ky| <= r, 0 <= kx <= r, with 1 <= r
        <= (N - 1)//2. ``("bin", b)``: means over b × b frequencies about every multiple of b
        (the outermost ones count half where b is even), for b that divides N: the half plane of
        a window of N/b.

    Returns
    -------
    ndarray (or Dask array), shape (ny, nx, N, N//2 + 1), float32
        ky in FFT order (zero first), kx = 0 .. N//2, in units of 1/(N pixels). Reduced: (ny,
        nx, N//2 + 1) for ``radial``, (ny, nx, 2r + 1, r + 1) for ``crop``, (ny, nx, N/b, N/b//2
        + 1) for ``bin``.

    Raises
    ------
    ValueError
        A window larger than the image (the largest possible is named), an option that is not
        known (the nearest is named), NaN or infinity in the image (the first position is
        named).
    TypeError
        An image of complex numbers, objects or strings; a window or step that is not a whole
        number.

    References
    ----------
    B. R. Jany, A. Janas, F. Krok, "Automatic microscopic image analysis by moving window local
    Fourier Transform and Machine Learning", Micron 130 (2020) 102800.
    https://doi.org/10.1016/j.micron.2019.102800

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import lattice_micrograph
    >>> image = lattice_micrograph((256, 320), seed=1).image
    >>> emcore.windowed_power_spectra(image, window=64, step=32).shape
    (7, 9, 64, 33)
    >>> emcore.windowed_power_spectra(image, window=64, step=32, reduce="radial").shape
    (7, 9, 33)
    """
    return spectra_and_offset(image, window, step, taper, subtract_mean, scale, preset=preset, reduce=reduce)[0]


def spectra_and_offset(
    image: ArrayLike,
    window: int = 128,
    step: int | None = None,
    taper: str = "hann",
    subtract_mean: bool = True,
    scale: str = "log",
    *,
    preset: str | None = None,
    reduce: Reduce = None,
    into: NDArray[np.float32] | None = None,
) -> tuple[Any, float]:
    """
    `windowed_power_spectra`, and the offset c of its logarithm.

    Parameters
    ----------
    image, window, step, taper, subtract_mean, scale, preset, reduce
        As for `windowed_power_spectra`.
    into : ndarray, optional
        Where they are put; of the shape and type of what is returned. Not of a Dask array.

    Returns
    -------
    spectra : ndarray
        As from `windowed_power_spectra`.
    offset : float
        With ``scale="log"`` P = c (exp(spectra) - 1) gives the powers back (c = 0: all are zero); with
        ``preset="jany"`` P = exp(spectra) - c. For the other scales it is 1 and has no meaning.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import lattice_micrograph
    >>> image = lattice_micrograph((128, 128)).image
    >>> spectra, offset = spectra_and_offset(image, window=64)
    >>> power = windowed_power_spectra(image, window=64, scale="power")
    >>> bool(np.allclose(offset * np.expm1(spectra), power, rtol=1e-4))
    True
    """
    lazy = hasattr(image, "to_delayed")
    pixels: Any
    if lazy:
        pixels, (low, high) = image, range_of_lazy(image)
    else:
        pixels = as_pixels(image, "image", 2)
        low, high = check_finite(pixels, "image")
    check_range(low, high, "image", _LARGEST, 0.0)
    window = check_count(window, "window", 8)
    largest = min(pixels.shape)
    if window > largest:
        raise ValueError(
            f"window={window} is larger than the image of {pixels.shape[0]} x {pixels.shape[1]} pixels; "
            + (f"the largest possible is {largest}" if largest >= 8 else "an image needs at least 8 x 8 pixels")
        )
    step = check_count(window // (2 if preset == "jany" else 4) if step is None else step, "step", 1)
    check_option(taper, TAPERS, "taper")
    check_option(scale, SCALES, "scale")
    if not isinstance(subtract_mean, bool | np.bool_):
        raise TypeError(f"subtract_mean={subtract_mean!r} is a {type(subtract_mean).__name__}; give True or False")
    scaled: Scale = scale
    if preset is not None:
        check_option(preset, PRESETS, "preset")
        preset_only = {"taper": (taper, "hann"), "subtract_mean": (subtract_mean, True), "scale": (scale, "log")}
        for name, (value, default) in preset_only.items():
            if value != default:
                raise ValueError(f"{name}={value!r} and preset={preset!r} exclude each other; leave one out")
        taper, subtract_mean, scaled = "sqrt-hann", False, ("log-plus", JANY_OFFSET)
        if pixels.dtype != np.uint8:
            pixels = _stretched(pixels, low, high)
            low, high = 0.0, 255.0
    reduction = checked_reduction(reduce, window)
    settings = Settings(window, step, taper, bool(subtract_mean), scaled, reduction, _unit(low, high))
    if lazy:
        return spectra_of_lazy(pixels, settings)
    ny, nx, nky, nkx = _emcore.spectra_shape(pixels.shape, settings)
    shape = (ny, nx, nkx) if reduction == "radial" else (ny, nx, nky, nkx)
    spectra = np.empty(shape, np.float32) if into is None else into
    offset = _emcore.power_spectra(pixels, settings, spectra.reshape(-1))
    return spectra, offset


def window_centers(shape: tuple[int, int], window: int, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Pixel coordinates of the centres of the windows: ``i * step + (window - 1) / 2``.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image in pixels.
    window, step : int
        As for `windowed_power_spectra`.

    Returns
    -------
    y : ndarray, shape (ny,), float64
    x : ndarray, shape (nx,), float64
        In pixels; pixel 0's centre is 0.

    Raises
    ------
    ValueError
        A window larger than the image, or a step below 1.

    Examples
    --------
    >>> y, x = window_centers((20, 30), window=10, step=5)
    >>> y.tolist(), x.tolist()
    ([4.5, 9.5, 14.5], [4.5, 9.5, 14.5, 19.5, 24.5])
    """
    height, width = check_shape(shape, "shape")
    check_count(window, "window", 1, min(height, width), "the smaller side of the image")
    check_count(step, "step", 1)
    ny, nx = ((length - window) // step + 1 for length in (height, width))
    first = (window - 1) / 2
    return first + step * np.arange(ny, dtype=np.float64), first + step * np.arange(nx, dtype=np.float64)


def half_plane_weights(window: int) -> NDArray[np.float32]:
    """
    How often each kx of a half plane stands in the full plane: 1 for kx = 0 and, for an even
    window, kx = N/2; 2 else.

    Multiply the features by the square root of the weights before a PCA, k-means or Frobenius
    NMF, by the weights before a Kullback-Leibler NMF, and undo it after: the result is that of
    the full plane.

    Parameters
    ----------
    window : int
        Side N of the window.

    Returns
    -------
    ndarray, shape (N//2 + 1,), float32

    Examples
    --------
    >>> half_plane_weights(8).tolist()
    [1.0, 2.0, 2.0, 2.0, 1.0]
    >>> half_plane_weights(7).tolist()
    [1.0, 2.0, 2.0, 2.0]
    """
    window = check_count(window, "window", 1)
    weights = np.full(window // 2 + 1, 2, np.float32)
    weights[0] = 1
    if window % 2 == 0:
        weights[-1] = 1
    return weights


def full_plane(half_spectra: NDArray[Any]) -> NDArray[Any]:
    """
    The full plane of spectra of which half is known, zero frequency in the middle (index N//2
    of both axes).

    Parameters
    ----------
    half_spectra : ndarray, shape (..., N, N//2 + 1)
        Real values that are symmetric through zero: powers and what is computed from them. ky
        in FFT order.

    Returns
    -------
    ndarray, shape (..., N, N)
        Of the same dtype; ky and kx ascending, as `frequencies` gives them.

    Raises
    ------
    ValueError
        The last two axes are not N and N//2 + 1.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).normal(size=(9, 9))
    >>> half, whole = abs(np.fft.rfft2(image)), np.fft.fftshift(abs(np.fft.fft2(image)))
    >>> bool(np.allclose(full_plane(half), whole))
    True
    """
    half = np.asarray(half_spectra)
    if half.ndim < 2 or half.shape[-1] != half.shape[-2] // 2 + 1:
        raise ValueError(f"half_spectra has shape {half.shape}; its last two axes must be N and N//2 + 1")
    n = half.shape[-2]
    ky = np.arange(n) - n // 2
    full = np.empty((*half.shape[:-1], n), half.dtype)
    full[..., n // 2 :] = half[..., ky, : n - n // 2]
    full[..., : n // 2] = half[..., -ky, n // 2 : 0 : -1]
    return full


def frequencies(window: int, scale: float = 1.0, full: bool = True) -> NDArray[np.float64]:
    """
    Frequencies of a spectrum's axis, in cycles per unit length.

    Parameters
    ----------
    window : int
        Side N of the window in pixels.
    scale : float, default 1.0
        Length of a pixel.
    full : bool, default True
        The axis of `full_plane`, ascending with zero at index N//2; otherwise the kx axis 0 .. N//2 of the half plane.

    Returns
    -------
    ndarray, shape (N,) or (N//2 + 1,), float64

    Examples
    --------
    >>> frequencies(5).tolist()
    [-0.4, -0.2, 0.0, 0.2, 0.4]
    >>> frequencies(4, scale=0.5, full=False).tolist()
    [0.0, 0.5, 1.0]
    """
    window = check_count(window, "window", 1)
    index = np.arange(window) - window // 2 if full else np.arange(window // 2 + 1)
    return index / (window * float(scale))


def _stretched(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """An image in the range 0 .. 255 of 8-bit images."""
    half_range = high / 2 - low / 2  # the whole one may overflow
    if half_range == 0:
        return np.zeros(pixels.shape, np.float32)
    return ((pixels / 2 - low / 2) / half_range * 255).astype(np.float32)


def _unit(low: float, high: float) -> float:
    """1, or where powers would leave the range of float32 the power of two that makes the largest pixel about 1."""
    largest = max(abs(low), abs(high))
    if largest == 0 or high == low or (largest < 1e9 and high - low > 1e-12):
        return 1.0
    return 2.0 ** min(-math.frexp(largest)[1], 1000)
