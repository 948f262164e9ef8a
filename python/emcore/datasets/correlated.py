"""Diffraction patterns and X-ray spectra taken together on one scan, of which the phases are known.

Two pairs of phases: one of the same structure with another Co/Fe ratio, one of the same composition of which one is
ordered. Neither signal can tell all four apart, both together can.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_count, check_shape, is_finite
from emcore.datasets.micrograph import curved_regions

# X-ray lines in keV and their strengths relative to the K alpha line.
_LINES = {
    "Al": ((1.487, 1.0),),
    "Fe": ((6.404, 1.0), (7.058, 0.14), (0.705, 0.5)),
    "Co": ((6.930, 1.0), (7.649, 0.14), (0.776, 0.5)),
}
_CO, _FE = _LINES["Co"][0][0], _LINES["Fe"][0][0]
# Part of cobalt in each phase.
_COBALT = (5 / 6, 1 / 6, 1 / 2, 1 / 2)
# The phase of each of 20 patches: as many borders as possible between every pair.
_PATCHES = (0, 1, 2, 1, 0, 3, 1, 0, 2, 0, 1, 3, 0, 1, 2, 1, 0, 3, 1, 0)
_KEV, _NM, _PER_NM = 0.04, 5.0, 0.5


@dataclass(frozen=True)
class CorrelatedScan:
    """Diffraction patterns and spectra on one scan, with their truth.

    Attributes
    ----------
    diffraction : Signal, shape (y, x, detector, detector), uint16
    eds : Signal, shape (y, x, channels), uint16
    labels : ndarray, shape (y, x), int32
        The phase that fills most of every position, 0 to 3.
    fractions : ndarray, shape (4, y, x), float64
        How much of every position each phase fills.
    spectra : ndarray, shape (4, channels), float64
        The spectrum expected where a phase is alone, in counts.
    co_fe : ndarray, shape (4,), float64
        `co_fe_ratio` of these spectra, NaN or inf where they have no channels there.
    """

    diffraction: Signal
    eds: Signal
    labels: NDArray[np.int32]
    fractions: Floats
    spectra: Floats
    co_fe: Floats


def correlated_scan(
    shape: tuple[int, int] = (80, 80),
    detector: int = 40,
    channels: int = 200,
    counts: float = 50.0,
    electrons: float = 20000.0,
    superlattice: float = 0.25,
    bend: float = 0.6,
    overlap: float = 0.8,
    seed: int = 0,
) -> CorrelatedScan:
    """Four Co-Fe phases in a bent aluminium matrix, seen by diffraction and by X-rays at every
    position.

    Phases 0 and 1 have one structure and orientation, and Co:Fe of 5:1 and 1:5: diffraction
    cannot tell them apart. Phases 2 and 3 have another structure and Co:Fe of 1:1; 3 is ordered
    and has faint superlattice reflections besides: X-rays cannot tell them apart. The matrix
    fills half of the foil everywhere. It is bent: its reflections brighten and fade as their
    excitation error changes, which moves patterns more than any phase does. Neighbouring phases
    overlap where they meet, the foil's thickness varies by a tenth, and all counts are
    Poisson-distributed.

    Parameters
    ----------
    shape : (int, int), default (80, 80)
        Scan positions along y and x, 5 nm apart.
    detector : int, default 40
        Side of the detector in pixels of 0.5/nm.
    channels : int, default 200
        Channels of 40 eV, the first at 0.
    counts : float, default 50
        Mean X-ray counts at a position.
    electrons : float, default 20000
        Mean electrons in a pattern.
    superlattice : float, default 0.25
        Strength of phase 3's superlattice reflections relative to its others.
    bend : float, default 0.6
        How far the matrix is bent, in units of the tilt that makes a reflection fade.
    overlap : float, default 0.8
        Standard deviation of the smear of phases into each other, in positions.
    seed : int, default 0

    Returns
    -------
    CorrelatedScan

    Raises
    ------
    ValueError
        If a size is below 16, or another number negative or not finite.

    Examples
    --------
    >>> from emcore.datasets import correlated_scan
    >>> sample = correlated_scan(shape=(20, 24))
    >>> sample.diffraction.shape, sample.eds.shape, sample.co_fe.round(1)
    ((20, 24, 40, 40), (20, 24, 200), array([5. , 0.3, 1.1, 1.1]))
    """
    height, width = check_shape(shape, "shape", 16)
    detector, channels = check_count(detector, "detector", 16), check_count(channels, "channels", 16)
    numbers = (counts, electrons, superlattice, bend, overlap)
    if not all(is_finite(number) and number >= 0 for number in numbers):
        raise ValueError(f"counts, electrons, superlattice, bend, overlap must not be negative, found {numbers}")
    rng = np.random.default_rng(seed)
    patches = np.array(_PATCHES)[curved_regions(height, width, len(_PATCHES))]
    smeared = np.stack([_smeared((patches == i).astype(np.float64), overlap) for i in range(4)])
    fractions = smeared / smeared.sum(axis=0)
    shares = fractions.reshape(4, -1).T
    y, x = np.mgrid[:height, :width]
    y, x = y.ravel() / height - 0.5, x.ravel() / width - 0.5
    thickness = (1 + 0.1 * np.sin(2 * math.pi * (y + 0.6 * x)))[:, None]

    expected = 0.5 * shares @ _phase_patterns(detector, superlattice)
    expected += 0.5 * _matrix_patterns(detector, bend, y, x)
    expected += _background(detector)
    expected *= electrons / expected.sum(axis=1).mean() * thickness
    patterns = rng.poisson(expected).astype(np.uint16).reshape(height, width, detector, detector)
    energy: NDArray[np.float64] = _KEV * np.arange(channels, dtype=np.float64)
    pure = counts * _phase_spectra(energy)
    spectra = rng.poisson(shares @ pure * thickness).astype(np.uint16).reshape(height, width, channels)

    scan = (Axis("y", height, _NM, 0.0, "nm", True), Axis("x", width, _NM, 0.0, "nm", True))
    first = -_PER_NM * (detector - 1) / 2
    kyx = (Axis("ky", detector, _PER_NM, first, "1/nm"), Axis("kx", detector, _PER_NM, first, "1/nm"))
    return CorrelatedScan(
        Signal(patterns, (*scan, *kyx), title="diffraction"),
        Signal(spectra, (*scan, Axis("energy", channels, _KEV, 0.0, "keV")), title="EDS"),
        fractions.argmax(axis=0).astype(np.int32),
        fractions,
        pure,
        co_fe_ratio(pure, energy),
    )


def co_fe_ratio(spectra: Floats, energy: Floats) -> Floats:
    """Counts within 0.12 keV of Co K alpha over those within 0.12 keV of Fe K alpha, background
    and K beta included.

    Parameters
    ----------
    spectra : ndarray, shape (..., channels)
    energy : ndarray, shape (channels,)
        In keV.

    Returns
    -------
    ndarray, shape (...)
        Not a number, or infinite, where a spectrum has no counts at Fe K alpha: NaN or inf.

    Raises
    ------
    TypeError, ValueError
        Spectra that are no numbers or have not as many channels as there are energies.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import co_fe_ratio
    >>> float(co_fe_ratio(np.array([0.0, 2.0, 3.0, 0.0]), np.array([6.0, 6.4, 6.9, 7.2])))
    1.5
    """
    spectra, energy = (np.asarray(each) for each in (spectra, energy))
    if any(each.dtype.kind not in "biuf" for each in (spectra, energy)):
        raise TypeError(f"spectra are {spectra.dtype} and energies {energy.dtype}; real numbers are needed")
    if energy.ndim != 1 or spectra.shape[-1:] != energy.shape:
        raise ValueError(f"spectra of shape {spectra.shape} do not have the channels of energy, {energy.shape}")
    cobalt, iron = (spectra[..., np.abs(energy - line) < 0.12].sum(axis=-1) for line in (_CO, _FE))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = cobalt / iron
    return ratio


def _phase_spectra(energy: Floats) -> Floats:
    """Counts per channel of each phase in the matrix, of one count in all."""
    background = np.exp(-energy / 3) * -np.expm1(-((energy / 0.6) ** 2))
    matrix = _characteristic(energy, {"Al": 1.0})
    own = np.stack([_characteristic(energy, {"Co": part, "Fe": 1 - part}) for part in _COBALT])
    spectra: Floats = 0.12 * background / background.sum() + 0.18 * matrix + 0.7 * own
    return spectra


def _characteristic(energy: Floats, composition: dict[str, float]) -> Floats:
    spectrum = np.zeros_like(energy)
    for element, part in composition.items():
        for line, strength in _LINES[element]:
            # A silicon drift detector: 130 eV full width at Mn K alpha.
            sigma = math.sqrt(0.02**2 + 0.00045 * line)
            spectrum += part * strength / sigma * np.exp(-0.5 * ((energy - line) / sigma) ** 2)
    spectrum /= spectrum.sum()
    return spectrum


def _phase_patterns(side: int, superlattice: float) -> Floats:
    unit = side / 40
    first = _reflections(side, (9.5 * unit, 0.0), (3.0 * unit, 9.0 * unit), 0.3)
    second = _reflections(side, (10.5 * unit, 0.0), (0.0, 10.5 * unit), 0.75)
    # Halfway between the fundamental ones, along both directions.
    half = _reflections(side, (5.25 * unit, 0.0), (0.0, 5.25 * unit), 0.75)
    shared, disordered = _bright(side, first), _bright(side, second)
    ordered = disordered + superlattice * _bright(side, [each for each in half if (each[0] + each[1]) % 2])
    return np.stack([shared, shared, disordered, ordered])


def _bright(side: int, reflections: list[tuple[int, int, float, float]]) -> Floats:
    total = np.zeros(side * side)
    for _, _, gy, gx in reflections:
        total += 0.06 * math.exp(-(gy**2 + gx**2) / (0.4 * side) ** 2) * _disc(side, gy, gx)
    return total


def _matrix_patterns(side: int, bend: float, y: Floats, x: Floats) -> Floats:
    """Reflection g shines as exp(-(s / 0.35)^2 / 2), with s = g . tilt - |g|^2 / 2 |k| its excitation error."""
    tilt_y = bend * (0.9 * y + 0.5 * np.sin(2 * math.pi * (0.8 * x + 0.1)))
    tilt_x = bend * (0.9 * x - 0.5 * np.cos(2 * math.pi * 0.7 * y))
    unit = side / 40
    patterns = np.zeros((len(y), side * side))
    for _, _, gy, gx in _reflections(side, (8.0 * unit, 0.0), (0.0, 8.0 * unit), 0.0):
        error = (gy * tilt_y + gx * tilt_x) / (20 * unit) - (gy**2 + gx**2) / (3200 * unit**2)
        strength = 0.1 * math.exp(-(gy**2 + gx**2) / (0.35 * side) ** 2) * np.exp(-0.5 * (error / 0.35) ** 2)
        patterns += strength[:, None] * _disc(side, gy, gx)
    return patterns


def _background(side: int) -> Floats:
    """Diffuse scattering and the direct beam."""
    from_center = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2)).ravel()
    total: Floats = 0.02 * np.exp(-from_center / (0.22 * side)) + 0.5 * _disc(side, 0, 0)
    return total


def _reflections(
    side: int, a: tuple[float, float], b: tuple[float, float], angle: float
) -> list[tuple[int, int, float, float]]:
    """h, k and the place (y, x) of every reflection on the detector but 0 0, in pixels from its centre."""
    cosine, sine = math.cos(angle), math.sin(angle)
    reflections = []
    for h in range(-8, 9):
        for k in range(-8, 9):
            y, x = h * a[0] + k * b[0], h * a[1] + k * b[1]
            if (h or k) and math.hypot(y, x) < side / 2:
                reflections.append((h, k, cosine * y - sine * x, sine * y + cosine * x))
    return reflections


def _disc(side: int, y: float, x: float) -> Floats:
    from_center = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2 - np.array([y, x])[:, None, None])).ravel()
    disc: Floats = np.clip(0.055 * side + 0.5 - from_center, 0, 1)
    return disc


def _smeared(values: Floats, sigma: float) -> Floats:
    """Convolved with a Gaussian along both axes, the edge repeated outwards."""
    if sigma == 0:
        return values
    reach = math.ceil(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = np.pad(values, [(reach, reach) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis)
        values = windows @ kernel
    return values
