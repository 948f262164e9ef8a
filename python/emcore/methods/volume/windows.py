"""The windows of a volume, one slab of them after another: coefficients of all, whole spectra of some.

A slab holds as many layers of windows as a limit of its size has room for; what is computed of a window depends on
its own voxels only, so that the cut makes no difference.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.volume.harmonics import orders, over_shells
from emcore.methods.volume.settings import VolumeSettings
from emcore.methods.volume.spectra import offset_and_unit
from emcore.methods.volume.threshold import Phase
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.planes import Planes

DEGREE = 8
"""Of the spherical harmonics."""
LEAST_PERIODS = 3
"""Shells of fewer periods in a window are left out: a border between different means is the strongest there."""
_SLAB_BYTES = 1 << 26
_TICK = 0.1


class Grid(NamedTuple):
    """Windows of a volume."""

    window: int
    step: int
    counts: tuple[int, int, int]

    @classmethod
    def of(cls, shape: Sequence[int], window: int, step: int) -> "Grid":
        """
        Those that fit.

        Examples
        --------
        >>> Grid.of((20, 16, 31), 16, 4).counts
        (2, 1, 4)
        """
        z, y, x = ((size - window) // step + 1 for size in shape)
        return cls(window, step, (z, y, x))

    @property
    def n(self) -> int:
        """How many there are."""
        return self.counts[0] * self.counts[1] * self.counts[2]

    @property
    def shells(self) -> int:
        """Shells whose coefficients are held."""
        return self.window // 2 - LEAST_PERIODS + 1

    @property
    def coefficient_bytes(self) -> int:
        """What the coefficients of all windows take."""
        return self.n * self.shells * orders(DEGREE) * 4

    def slab_bytes(self, plane_bytes: int) -> int:
        """What a slab of windows and its coefficients take."""
        layers = self.layers(plane_bytes)
        planes = self.window + (layers - 1) * self.step
        return planes * plane_bytes + layers * self.counts[1] * self.counts[2] * (self.window // 2) * orders(DEGREE) * 4

    def layers(self, plane_bytes: int) -> int:
        """
        Layers of windows in a slab.

        Examples
        --------
        >>> Grid.of((1000, 1000, 1000), 50, 25).layers(1 << 20), Grid.of((64, 64, 64), 16, 8).layers(4096)
        (1, 7)
        """
        of_windows = self.counts[1] * self.counts[2] * (self.window // 2) * orders(DEGREE) * 4
        more = (_SLAB_BYTES - self.window * plane_bytes) // (self.step * plane_bytes + of_windows)
        return int(min(max(1 + more, 1), self.counts[0]))


def settings_of(
    grid: Grid, reduce: str | tuple[str, int], phase: Phase, least: float, offset: float, limits: tuple[float, float]
) -> VolumeSettings:
    """What the kernel is given: power of the periodic part."""
    unit = offset_and_unit(*limits)[1]
    return VolumeSettings(grid.window, grid.step, "power", reduce, True, (phase.low, phase.high), least, offset, unit)


def coefficients_of(
    planes: Planes, grid: Grid, settings: VolumeSettings, job: Job | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """
    Power of all windows in spherical harmonics.

    Parameters
    ----------
    planes : Planes
    grid : Grid
    settings : VolumeSettings
        That reduce to harmonics.
    job : Job, optional

    Returns
    -------
    coefficients : ndarray, shape (n, shells, orders), float32
        From `LEAST_PERIODS` on, averaged over neighbouring shells; zeros where there is too little of the phase.
    fractions : ndarray, shape (n,), float32
        Of the phase in each window.
    """
    nz, ny, nx = grid.counts
    row, full = ny * nx, grid.window // 2
    coefficients = np.empty((grid.n, grid.shells, orders(DEGREE)), dtype=np.float32)
    fractions = np.empty(grid.n, dtype=np.float32)
    layers = grid.layers(planes.plane_bytes)
    buffer = np.empty((layers * row, full, orders(DEGREE)), dtype=np.float32)
    callback = _emcore.set_progress(None)
    last = time.monotonic()

    def report(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if callback is not None and now - last >= _TICK:
            last = now
            callback(done, grid.n)

    try:
        with planes.one_pass(job):
            for first in range(0, nz, layers):
                stop = min(first + layers, nz)
                slab = planes.read(first * grid.step, (stop - 1) * grid.step + grid.window)
                done, some = first * row, (stop - first) * row
                _emcore.set_progress(_share(report, done, some))
                _emcore.volume_spectra(slab, settings, buffer[:some].reshape(-1), fractions[done : done + some])
                _emcore.set_progress(None)
                coefficients[done : done + some] = over_shells(buffer[:some, LEAST_PERIODS - 1 :])
                planes.release(slab[: grid.step * (stop - first)])
                report(done + some)
    finally:
        _emcore.set_progress(callback)
    return coefficients, fractions


def _share(report: Callable[[int], None], done: int, some: int) -> Callable[[int, int], object]:
    """The progress of a kernel over one slab, in windows."""
    return lambda n, of: report(done + some * n // max(of, 1))


def mean_spectra(planes: Planes, grid: Grid, settings: VolumeSettings, groups: Sequence[NDArray[Any]]) -> Floats:
    """
    Mean whole spectra of some windows of each group.

    Parameters
    ----------
    planes : Planes
    grid : Grid
    settings : VolumeSettings
        That do not reduce.
    groups : sequence of k ndarrays of int
        Numbers of windows, each rising; zeros for a group of none.

    Returns
    -------
    ndarray, shape (k, N, N, N // 2 + 1), float64
    """
    n = grid.window
    sums = np.zeros((len(groups), n, n, n // 2 + 1))
    one, fraction = np.empty(sums[0].size, dtype=np.float32), np.empty(1, dtype=np.float32)
    of_window = sorted((int(i), k) for k, group in enumerate(groups) for i in group)
    slab, at = np.empty(0), -1
    with planes.one_pass(None):
        for i, k in of_window:
            z, y, x = (int(c) * grid.step for c in np.unravel_index(i, grid.counts))
            if z != at:
                planes.release(slab)
                slab, at = planes.read(z, z + n), z
            window = np.ascontiguousarray(slab[:, y : y + n, x : x + n])
            _emcore.volume_spectra(window, settings, one, fraction)
            sums[k] += one.reshape(sums[0].shape)
    counts = np.array([max(len(group), 1) for group in groups])
    means: Floats = sums / counts[:, None, None, None]
    return means
