"""Absorption spectra of a few phases across an edge, as a scanning X-ray microscope takes them, with their truth."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.validation import Floats, check_count, check_number, check_shape
from emcore.datasets.micrograph import curved_regions

# Energies in eV around the iron K edge; width of the edge, and of the line on it, in eV.
_FIRST, _LAST, _EDGE, _WIDTH = 7080.0, 7200.0, 7112.0, 3.0


@dataclass(frozen=True)
class LabelledPhases:
    """A synthetic scan of absorption spectra with its truth.

    Attributes
    ----------
    signal : Signal, shape (y, x, energy), float32
        Optical density.
    labels : ndarray, shape (y, x), int32
        Phase of every position, 0 to k - 1.
    references : Signal, shape (phase, energy), float64
        Spectrum of each phase, of an edge of height 1.
    thickness : ndarray, shape (y, x), float64
        What the spectrum is multiplied by at every position.
    """

    signal: Signal
    labels: NDArray[np.int32]
    references: Signal
    thickness: Floats


def absorption_phases(
    shape: tuple[int, int] = (64, 80),
    *,
    points: int = 120,
    n_phases: int = 4,
    spread: float = 0.5,
    noise: float = 0.1,
    seed: int = 0,
) -> LabelledPhases:
    """A scan over phases of one element in different oxidation states, of uneven thickness on
    an uneven background.

    The edge of each phase lies at another energy and has a line of another height and another
    shoulder behind it. The spectrum of a position is that of its phase times its thickness, and
    a background of its own.

    Parameters
    ----------
    shape : (int, int), default (64, 80)
        Positions along y and x, 50 nm apart.
    points : int, default 120
        Energies from 7080 to 7200 eV.
    n_phases : int, default 4
        Edges 1.5 eV apart.
    spread : float, default 0.5
        Standard deviation of the logarithm of the thickness, and of the background.
    noise : float, default 0.1
        Standard deviation, where an edge of mean thickness has a height of 1.
    seed : int, default 0

    Returns
    -------
    LabelledPhases

    Raises
    ------
    ValueError
        A size or number out of range.

    Examples
    --------
    >>> from emcore.datasets import absorption_phases
    >>> sample = absorption_phases(shape=(10, 12), n_phases=3)
    >>> sample.signal.shape, sample.references.shape, int(sample.labels.max())
    ((10, 12, 120), (3, 120), 2)
    """
    height, width = check_shape(shape, "shape")
    check_count(points, "points", 16)
    check_count(n_phases, "n_phases", 1, 20)
    spread, noise = check_number(spread, "spread", 0, 10), check_number(noise, "noise", 0, 1e30)
    rng = np.random.default_rng(seed)
    axis = Axis("energy", points, (_LAST - _FIRST) / (points - 1), _FIRST, "eV")
    references = np.stack([_edge(axis.values, phase) for phase in range(n_phases)])
    labels = curved_regions(height, width, 2 * n_phases) % n_phases
    thickness = np.exp(spread * rng.standard_normal((height, width)))
    data = thickness[..., None] * references[labels]
    data += spread * rng.standard_normal((height, width, 1))
    data += noise * rng.standard_normal(data.shape)
    scan = (Axis("y", height, 50.0, 0.0, "nm", True), Axis("x", width, 50.0, 0.0, "nm", True))
    return LabelledPhases(
        Signal(data.astype(np.float32), (*scan, axis), title="optical density"),
        labels.astype(np.int32),
        Signal(references, (Axis("phase", n_phases, units="", navigation=True), axis), title="references"),
        thickness,
    )


def _edge(energy: Floats, phase: int) -> Floats:
    """A step, a line on it, and a shoulder behind."""
    at = _EDGE + 1.5 * phase
    line, behind = 0.8 + 0.3 * (phase % 3), 14.0 + 5.0 * (phase % 4)
    spectrum: Floats = 0.5 + np.arctan((energy - at) / (_WIDTH / 2)) / math.pi
    spectrum += line * np.exp(-0.5 * ((energy - at - 4) / _WIDTH) ** 2)
    spectrum += 0.25 * np.exp(-0.5 * ((energy - at - behind) / (2 * _WIDTH)) ** 2)
    return spectrum
