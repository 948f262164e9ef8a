"""At which energies do the spectra of a scan have peaks, and where on it are these spectra?

Images at a series of energies, of which a position's spectrum is the derivative where the detector counts all up to an
energy, or spectra as they are. Blocks of positions are averaged, the peaks of each that stand out of its own noise are
pooled, and a mixture says how many energies they have and which. The mean spectrum of the blocks whose most prominent
peak is one of them is a reference, and every position goes to that of the smallest spectral angle (Zhang et al., IEEE
Access 13 (2025) 173976). The data are read some lines at a time: a sample of them, then all for the peaks, for the
references and for the angles.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emcore._emcore import __version__
from emcore.core.control import get_num_threads, steps
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import check_count, check_number, check_option
from emcore.core.wording import count_of
from emcore.methods.peaks.angles import indistinct, within_noise
from emcore.methods.peaks.mixture import MOST, peak_mixture
from emcore.outofcore.checkpoint import Job
from emcore.results.peak_map import PeakMap
from emcore.scans.axes import SignalAxis
from emcore.scans.energy_images import as_energy_images
from emcore.scans.spectrum_rows import hash_of_scan
from emcore.workflows.peaks_passes import (
    Scan,
    angles_of,
    blocks_of,
    independent,
    no_peaks,
    peaks_of_blocks,
    prepared,
    sums_of_blocks,
)


@with_progress_bar
@documented()
def map_peaks(
    stack: Any,
    block: int = 3,
    n_peaks: int | str = "auto",
    *,
    differentiate: bool | str = "auto",
    energies: ArrayLike | None = None,
    register: bool = False,
    max_angle: float | str = "auto",
    signal_axis: SignalAxis = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
    memory: int | str | None = None,
    checkpoint: Any = None,
) -> PeakMap:
    """Map the peaks of a hyperspectral stack: images at a series of energies, or spectra at
    positions.

    Parameters
    ----------
    stack : array_like, Signal, HyperSpy signal, path of a file or a folder of images, or a list
        Of shape (y, x, energies), or (energies, y, x) where the axes, `energies` or
        `signal_axis` say so; energies may lie at uneven distances, but rise or fall. A memory
        map, an HDF5 or Zarr array, a lazy signal or a Dask array is visited some lines at a
        time.
    block : int, default 3
        Positions along a side of the blocks that are averaged before peaks are sought.
    n_peaks : int or "auto", default "auto"
        At how many energies the peaks lie. "auto": the number from 1 to 12 of the lowest
        Bayesian information criterion (extended, for a search along the axis), of which those
        without a dip between them are one.
    differentiate : bool or "auto", default "auto"
        Whether the detector counted all up to an energy, so that a spectrum is the derivative
        of what was measured; of all from an energy on its negative. "auto": where the mean
        intensity rises from the first energy to the last without turning, which no spectrum
        with a peak does; the notes say what was taken.
    energies : array_like, optional
        Energy of each image in eV, where the axes do not say it.
    register : bool, default False
        Take drift out: the shift of each image against the one before it (scikit-image), added
        up; what not all of them show is left out.
    max_angle : float or "auto", default "auto"
        In degrees, beyond which a position belongs to no reference. "auto": of each position
        what its noise and the variation within a group explain.
    %(signal_axis)s
    %(scan_shape)s
    %(dataset)s
    %(memory)s
    %(checkpoint)s
        Of each part of the scan, the peaks are saved when they are found.

    Returns
    -------
    PeakMap
        The same to the last bit on any number of threads. Positions of one value throughout,
        and with NaN or infinity, take no part, and their label is -1.

    Raises
    ------
    ValueError
        No scan with at least 8 energies at every position, energies that neither rise nor fall,
        no peak that stands out of noise, a number or angle out of range, too little memory (the
        least is named), a checkpoint of other data.
    TypeError
        Data that are not real numbers.
    ImportError
        `register` without the extra `image`.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import energy_series
    >>> sample = energy_series(shape=(48, 60))  # peaks at 0.83, 1.98, 3.57, 4.75 and 5.60 eV
    >>> result = emcore.map_peaks(sample.stack)
    >>> result.differentiated, result.energies.round(1)
    (True, array([0.8, 2. , 3.6, 4.8, 5.6]))
    """
    started = time.perf_counter()
    side = check_count(block, "block", 1, 1000)
    asked = _asked(n_peaks, max_angle, differentiate)
    images = as_energy_images(stack, energies, memory, signal_axis=signal_axis, scan_shape=scan_shape, dataset=dataset)
    parameters: dict[str, Any] = {"block": side, "n_peaks": n_peaks, "differentiate": differentiate}
    parameters |= {"energies": None if energies is None else images.energy.values.tolist(), "register": register}
    parameters |= {"max_angle": max_angle, "scan_shape": None if scan_shape is None else images.grid}
    job = None
    if checkpoint is not None:
        identity = {"method": "map_peaks", "version of emcore": __version__, "memory": check_memory(memory)}
        axis = images.energy
        identity |= parameters | {"all energies": [axis.units, *axis.values.tolist()], "order": list(images.order)}
        job = Job(checkpoint, images.source(), identity, at_once=True)
    if register:
        images = images.registered()
    scan = Scan(images, side, images.bands(side, memory, 12 * images.energy.size), job)
    with steps(3 * len(scan.bands) + 1) as done:
        derivative, smoothing, notes = prepared(scan, differentiate)
        done(1)
        found = peaks_of_blocks(scan, smoothing, derivative, done)
        if len(found.peaks.rows) < 2:
            raise ValueError(no_peaks(scan, found, smoothing, derivative))
        mixture = peak_mixture(found.peaks.energies, images.energy.values, asked)
        k = len(mixture.energies)
        has = blocks_of(found.peaks, mixture.labels, k, scan.n_blocks)
        spectra_by_peak = sums_of_blocks(scan, smoothing, derivative, found, has, done)
        counts_by_peak = has.sum(axis=1).astype(np.float64)
        level = float(np.sqrt(np.median((np.square(found.levels) * found.counts)[found.counts > 0])))
        matrix = smoothing.matrix if derivative else None
        groups = indistinct(spectra_by_peak / counts_by_peak[:, None], matrix, smoothing.profile, level)
        references = np.stack([spectra_by_peak[g].sum(axis=0) / counts_by_peak[g].sum() for g in groups])
        reference_of = np.empty(k, dtype=np.int64)
        for number, group in enumerate(groups):
            reference_of[group] = number
        at = angles_of(scan, smoothing, derivative, found, references, done)
    inside = within_noise(at.labels, at.angle, at.expected, independent(smoothing, derivative), len(groups))
    if not isinstance(max_angle, str):
        inside = (at.labels >= 0) & (at.angle <= max_angle)
    labels = np.where(inside, at.labels, -1).astype(np.int32)
    counts = np.bincount(labels[labels >= 0], minlength=len(groups))
    measured = int((~found.gaps.empty).sum())
    grid = images.grid
    notes = [*images.notes, *notes, *found.gaps.notes]
    far = int((~found.gaps.empty).sum()) - int(counts.sum())
    if far:
        why = "than noise explains" if isinstance(max_angle, str) else f"than max_angle={max_angle:g} degrees"
        notes.append(f"{far} of {measured} measured positions lie farther from every reference {why}: label -1")
    if images.out_of_core(memory):
        notes.append(
            f"data out of core, visited in {count_of(len(scan.bands), 'part')} with a budget of "
            f"{in_words(check_memory(memory))}"
        )
    picture = Signal(at.means.reshape(grid).astype(np.float32), images.scan, images.signal.source, "mean value")
    many = np.where(found.counts > 0, np.bincount(found.peaks.rows, minlength=scan.n_blocks), -1)
    return PeakMap(
        labels=labels.reshape(grid),
        angle=at.angle.reshape(grid),
        second=at.second.reshape(grid),
        reliability=np.where(labels >= 0, 100 * (1 - at.angle / np.maximum(at.second, 1e-6)), 0)
        .clip(0, 100)
        .astype(np.float32)
        .reshape(grid),
        measured=~found.gaps.empty.reshape(grid),
        energies=mixture.energies,
        errors=mixture.errors,
        spreads=mixture.spreads,
        weights=mixture.weights,
        reference_of=reference_of,
        references=references,
        blocks_of=np.array([has[group].any(axis=0).sum() for group in groups], dtype=np.int64),
        area=counts / measured,
        positions=found.peaks.energies,
        peak_of=mixture.labels,
        density=mixture.density,
        density_energies=mixture.places,
        bic=mixture.bic,
        found=many.astype(np.int32).reshape(scan.blocks),
        n_peaks=k,
        n_references=len(groups),
        rule="given" if asked else "bic",
        reason=mixture.reason,
        block=side,
        differentiated=derivative,
        width=smoothing.width,
        prominence=smoothing.least,
        image=picture,
        mean=Signal(
            (smoothing.matrix @ found.mean if derivative else found.mean),
            (images.energy,),
            images.signal.source,
            images.signal.title,
        ),
        shifts=images.shifts,
        max_angle=None if isinstance(max_angle, str) else float(max_angle),
        n_empty=found.gaps.n_empty,
        provenance=Provenance.record(
            "map_peaks",
            parameters,
            images.signal,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
            sha256=hash_of_scan(images.signal, picture.data, memory),
        ),
    )


def _asked(n_peaks: Any, max_angle: Any, differentiate: Any) -> int | None:
    if isinstance(max_angle, str):
        check_option(max_angle, ("auto",), "max_angle")
    else:
        check_number(max_angle, "max_angle", 0, 90)
    if not isinstance(differentiate, bool):
        if not isinstance(differentiate, str):
            raise TypeError(f"differentiate={differentiate!r}: give True, False or 'auto'")
        check_option(differentiate, ("auto",), "differentiate")
    if isinstance(n_peaks, str):
        check_option(n_peaks, ("auto",), "n_peaks")
        return None
    return check_count(n_peaks, "n_peaks", 1, MOST)
