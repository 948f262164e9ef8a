"""EDS spectrum images of which the phases are known: real lines, bremsstrahlung, detector resolution, counting noise.

A spectrum is a background after Kramers (Phil. Mag. 46 (1923) 836), ``Z (E0 - E) / E``, absorbed at low energy like
``exp(-(0.4 keV / E)^3)``, and the characteristic lines of its elements. Both are seen by a detector whose resolution is
``FWHM(E)^2 = FWHM(Mn Ka)^2 + 2.5 eV (E - E(Mn Ka))`` (Fiori & Newbury, SEM 1 (1978) 401).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, as_numbers, check_count, check_number, check_shape, is_finite
from emcore.datasets.micrograph import curved_regions

MN_KA = 5.8987
"""Energy in keV at which the resolution of a detector is given."""

# Atomic number; lines as energy in keV and counts per atom relative to Si Ka, at 200 kV in a thin foil. Energies, and
# weights within a family, are those of exSpy's table of lines; the weights of L and M families are round numbers.
_ELEMENTS: dict[str, tuple[int, tuple[tuple[float, float], ...]]] = {
    "C": (6, ((0.2774, 0.12),)),
    "O": (8, ((0.5249, 0.4),)),
    "Al": (13, ((1.4865, 0.95), (1.5596, 0.0125))),
    "Si": (14, ((1.7397, 1.0), (1.8389, 0.0278))),
    "Sc": (21, ((4.0906, 1.0), (4.4605, 0.128), (0.4022, 0.03), (0.3484, 0.1))),
    "Ti": (22, ((4.5109, 1.0), (4.9318, 0.117), (0.4555, 0.08), (0.3952, 0.11))),
    "V": (23, ((4.9522, 1.0), (5.4273, 0.122), (0.5129, 0.12), (0.4464, 0.07))),
    "Fe": (26, ((6.4039, 0.95), (7.058, 0.121), (0.7045, 0.3), (0.6152, 0.093))),
    "Co": (27, ((6.9303, 0.93), (7.6494, 0.119), (0.7757, 0.32), (0.6779, 0.069))),
    "Cu": (29, ((8.0478, 0.9), (8.9053, 0.118), (0.9295, 0.4), (0.8113, 0.034))),
    "Sr": (38, ((1.8065, 0.9), (1.8718, 0.342), (1.5821, 0.039), (14.165, 0.6), (15.8355, 0.09))),
    "Pd": (46, ((2.8386, 1.0), (2.9903, 0.344), (3.1683, 0.103), (3.3249, 0.033), (2.5034, 0.041))),
    "W": (74, ((1.7756, 1.0), (1.8351, 0.594), (2.0356, 0.085), (1.3839, 0.013), (8.3976, 0.5), (9.6724, 0.184),
        (9.9614, 0.107), (11.2852, 0.028), (7.3872, 0.021))),
    "Pt": (78, ((2.0505, 1.0), (2.1276, 0.594), (2.3321, 0.085), (1.6026, 0.013), (9.4421, 0.45), (11.0707, 0.184),
        (11.2504, 0.098), (12.9418, 0.038), (8.2677, 0.025))),
}  # fmt: skip
# Background counts per atom, unit of Z and keV at 1 keV, relative to Si Ka.
_BACKGROUND = 2.5e-5
_ABSORBED = 0.4

SPHERES: dict[str, tuple[dict[str, float], float, tuple[float, float]]] = {
    "W": ({"W": 1.0}, 10.0, (0.21, 0.24)),
    "Pd": ({"Pd": 1.0}, 10.0, (0.29, 0.77)),
    "ScVO4": ({"Sc": 1.0, "V": 1.0, "O": 4.0}, 20.0, (0.8, 0.2)),
    "SrTiO3": ({"Sr": 1.0, "Ti": 1.0, "O": 3.0}, 50.0, (0.66, 0.66)),
}
"""Of each sphere of `eds_spheres`: its composition, diameter in nm, and centre as parts of the scan along y and x."""


@dataclass(frozen=True)
class LabelledSpectra:
    """A synthetic spectrum image with its truth.

    Attributes
    ----------
    signal : Signal, shape (y, x, energy), uint16
        Counts, with axes in nm and keV.
    maps : ndarray, shape (k, y, x), float64
        Expected counts of every phase, without those of the zero peak.
    spectra : ndarray, shape (k, channels), float64
        Spectrum of every phase, sum 1.
    names : tuple of str
        Of the phases.
    """

    signal: Signal
    maps: Floats
    spectra: Floats
    names: tuple[str, ...]


def eds_spectrum(
    composition: Mapping[str, float],
    energy: Any,
    *,
    beam_energy: float = 200.0,
    fwhm: float = 0.13,
    background: float = 1.0,
) -> Floats:
    """What an EDS detector is expected to count of a material, per atom and relative to the Si
    K alpha line.

    Parameters
    ----------
    composition : mapping of str to float
        Atoms of each element; their ratios count. Known are C, O, Al, Si, Sc, Ti, V, Fe, Co,
        Cu, Sr, Pd, W, Pt.
    energy : array-like, shape (channels,)
        Centres of the channels in keV, evenly spaced.
    beam_energy : float, default 200
        In keV, where bremsstrahlung ends.
    fwhm : float, default 0.13
        Resolution of the detector in keV at Mn K alpha.
    background : float, default 1
        Strength of the bremsstrahlung; at 1 it is a tenth of all that silicon emits.

    Returns
    -------
    ndarray, shape (channels,), float64

    Raises
    ------
    ValueError
        An element that is not known, atoms that are not positive, channels that are not even, a
        negative background.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.datasets import eds_spectrum
    >>> energy = np.arange(0, 10, 0.01)
    >>> float(energy[eds_spectrum({"Si": 1}, energy).argmax()])
    1.74
    """
    channels = as_numbers(energy, "energy")
    step = float(channels[1] - channels[0]) if channels.ndim == 1 and channels.size > 1 else 0.0
    if not (step > 0 and np.allclose(np.diff(channels), step, rtol=1e-6, atol=0)):
        raise ValueError("energy must be two or more rising and evenly spaced channels")
    if not isinstance(composition, Mapping) or not composition:
        raise TypeError(f"composition is a {type(composition).__name__}; a mapping of elements to atoms is needed")
    atoms = {element: check_number(count, f"composition[{element!r}]", 0) for element, count in composition.items()}
    for element, count in atoms.items():
        if element not in _ELEMENTS:
            raise ValueError(f"composition has {element!r}; known are {', '.join(_ELEMENTS)}")
        if not (is_finite(count) and count > 0):
            raise ValueError(f"composition has {count} atoms of {element}; give a number above 0")
    background = check_number(background, "background", 0)
    beam_energy, fwhm = check_number(beam_energy, "beam_energy", 0), check_number(fwhm, "fwhm", 0, 1e6)
    if not (beam_energy > 0 and fwhm > 0):
        values = f"{beam_energy} and {fwhm}"
        raise ValueError(f"beam_energy and fwhm must be above 0, found {values}")
    total = sum(atoms.values())
    mean_number = sum(_ELEMENTS[element][0] * count for element, count in atoms.items()) / total
    positive = np.maximum(channels, step / 2)
    shape = np.clip(beam_energy - channels, 0, None) / beam_energy / positive * np.exp(-((_ABSORBED / positive) ** 3))
    spectrum: Floats = background * _BACKGROUND * mean_number / 10 * 1e3 * step * np.where(channels > 0, shape, 0.0)
    for element, count in atoms.items():
        for line, weight in _ELEMENTS[element][1]:
            if line < beam_energy:
                spectrum += weight * count / total * _peak(channels, step, line, fwhm)
    return spectrum


def eds_phases(
    shape: tuple[int, int] = (64, 64),
    *,
    channels: int = 1000,
    counts: float = 150.0,
    minority: float = 0.01,
    zero_peak: float = 0.0,
    seed: int = 0,
) -> LabelledSpectra:
    """Aluminium and iron-cobalt side by side, and copper in a few small inclusions: a minority
    phase.

    Parameters
    ----------
    shape : (int, int), default (64, 64)
        Scan positions along y and x, 2 nm apart.
    channels : int, default 1000
        Of 20 eV, the first at -0.1 keV.
    counts : float, default 150
        Expected at every position.
    minority : float, default 0.01
        Part of the positions that copper fills.
    zero_peak : float, default 0
        Counts of the strobe around 0 keV at every position, beside the others.
    seed : int, default 0

    Returns
    -------
    LabelledSpectra

    Raises
    ------
    ValueError
        A size, number or part out of range.

    Examples
    --------
    >>> from emcore.datasets import eds_phases
    >>> sample = eds_phases(shape=(20, 30))
    >>> shares = [round(float(m.sum() / sample.maps.sum()), 2) for m in sample.maps]
    >>> sample.signal.shape, sample.names, shares
    ((20, 30, 1000), ('Al', 'FeCo', 'Cu'), [0.56, 0.43, 0.01])
    """
    height, width = check_shape(shape, "shape", 8)
    channels, numbers = check_count(channels, "channels", 100), (counts, minority, zero_peak)
    if not all(is_finite(number) and number >= 0 for number in numbers) or minority > 0.5:
        raise ValueError(f"counts, minority and zero_peak must not be negative, minority at most 0.5, found {numbers}")
    rng = np.random.default_rng(seed)
    axis = Axis("energy", channels, 0.02, -0.1, "keV")
    compositions: list[dict[str, float]] = [{"Al": 1.0}, {"Fe": 0.6, "Co": 0.4}, {"Cu": 1.0}]
    spectra = np.stack([eds_spectrum(each, axis.values) for each in compositions])
    spectra /= spectra.sum(axis=1, keepdims=True)
    labels = curved_regions(height, width, 6) % 2
    labels[_inclusions(height, width, round(minority * height * width), rng)] = 2
    maps = counts * np.stack([labels == i for i in range(3)]).astype(np.float64)
    strobe = zero_peak * _peak(axis.values, axis.scale, 0.0, 0.13)
    return LabelledSpectra(_counted(maps, spectra, strobe, axis, 2.0, rng), maps, spectra, ("Al", "FeCo", "Cu"))


def eds_spheres(
    shape: tuple[int, int] = (256, 256),
    *,
    channels: int = 500,
    counts: float = 400.0,
    pixel: float = 2.0,
    background: float = 8.0,
    seed: int = 0,
) -> LabelledSpectra:
    """Four spheres in silicon: W and Pd of 10 nm, ScVO4 of 20 nm, SrTiO3 of 50 nm, as published
    [1]_.

    A sphere fills of a position its chord over its diameter, silicon the rest. The strongest
    lines of W, Si and Sr overlap (1.78, 1.74, 1.81 keV), so do those of Sc, Ti and V, and the
    small spheres are some 20 of 65536 positions.

    Parameters
    ----------
    shape : (int, int), default (256, 256)
        Scan positions along y and x; the scan must have room for the spheres, 90 nm a side.
    channels : int, default 500
        Of 40 eV, the first at 0.2 keV.
    counts : float, default 400
        Expected at every position.
    pixel : float, default 2
        Distance of scan positions in nm.
    background : float, default 8
        Strength of the bremsstrahlung, see `eds_spectrum`; at 8 it is half of what silicon
        emits.
    seed : int, default 0

    Returns
    -------
    LabelledSpectra
        Phases in the order Si, W, Pd, ScVO4, SrTiO3.

    Raises
    ------
    ValueError
        A number that is not positive, or a scan without room.

    References
    ----------
    .. [1] Cozma et al., EMC 2024 no. 367: phases and sizes. Places, counts and background are
           of here.

    Examples
    --------
    >>> from emcore.datasets import eds_spheres
    >>> sample = eds_spheres(shape=(100, 100), channels=250)
    >>> sample.names, [int((m > 0).sum()) for m in sample.maps]
    (('Si', 'W', 'Pd', 'ScVO4', 'SrTiO3'), [9996, 21, 21, 69, 489])
    """
    height, width = check_shape(shape, "shape")
    channels, numbers = check_count(channels, "channels", 100), (counts, pixel)
    if not all(is_finite(number) and number > 0 for number in numbers):
        raise ValueError(f"counts and pixel must be above 0, found {numbers}")
    if min(height, width) * pixel < 90:
        raise ValueError(f"shape {shape} of {pixel:g} nm has no room for the spheres; at least 90 nm a side are needed")
    rng = np.random.default_rng(seed)
    axis = Axis("energy", channels, 0.04, 0.2, "keV")
    y, x = np.mgrid[:height, :width] * pixel
    spectra, parts = [eds_spectrum({"Si": 1.0}, axis.values, background=background)], []
    for composition, diameter, (from_top, from_left) in SPHERES.values():
        spectra.append(eds_spectrum(composition, axis.values, background=background))
        away = (y - from_top * height * pixel) ** 2 + (x - from_left * width * pixel) ** 2
        parts.append(2 * np.sqrt(np.clip(diameter**2 / 4 - away, 0, None)) / diameter)
    maps = counts * np.stack([1 - np.sum(parts, axis=0), *parts])
    pure = np.stack([spectrum / spectrum.sum() for spectrum in spectra])
    return LabelledSpectra(_counted(maps, pure, 0.0, axis, pixel, rng), maps, pure, ("Si", *SPHERES))


def _peak(channels: Floats, step: float, line: float, fwhm: float) -> Floats:
    """A line of one count, as the detector sees it."""
    # In eV, 2.5 eV of variance for each eV: 2.5e-3 in keV.
    width = math.sqrt(max(fwhm**2 + 2.5e-3 * (line - MN_KA), 0.03**2)) / math.sqrt(8 * math.log(2))
    peak: Floats = step / (width * math.sqrt(2 * math.pi)) * np.exp(-0.5 * ((channels - line) / width) ** 2)
    return peak


def _counted(
    maps: Floats, spectra: Floats, strobe: Floats | float, axis: Axis, pixel: float, rng: np.random.Generator
) -> Signal:
    _, height, width = maps.shape
    data = np.empty((height, width, axis.size), dtype=np.uint16)
    for line in range(height):
        data[line] = np.minimum(rng.poisson(maps[:, line].T @ spectra + strobe), np.iinfo(np.uint16).max)
    scan = (Axis("y", height, pixel, 0.0, "nm", True), Axis("x", width, pixel, 0.0, "nm", True))
    return Signal(data, (*scan, axis), title="EDS")


def _inclusions(height: int, width: int, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """So many positions, those nearest to a few random places."""
    places = rng.uniform(0.15, 0.85, (3, 2)) * (height, width)
    y, x = np.mgrid[:height, :width]
    away = np.min([np.hypot(y - cy, x - cx) for cy, cx in places], axis=0)
    inside = np.zeros(height * width, dtype=bool)
    inside[np.argsort(away, axis=None, kind="stable")[:count]] = True
    return inside.reshape(height, width)
