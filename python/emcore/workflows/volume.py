"""Which textures does a volume hold, how is each oriented where, and which of them are one but for a rotation?

Power spectra of overlapping windows, without a taper but of their periodic part (Moisan 2011), are kept as power in
spherical harmonics on every shell; windows of one spectrum are an oriented class, classes whose invariants are alike
one texture (Curcuraci et al., EMC 2024 no. 1318). What part of every window each class fills says where borders lie.
The volume is read once for its values and once for its windows, some planes at a time.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore._emcore import __version__
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal, hashed
from emcore.core.validation import check_count, check_number, check_option, check_range
from emcore.core.wording import count_of, number
from emcore.io.ome_zarr import check_store
from emcore.io.ome_zarr_volumes import write_label_volumes
from emcore.io.registry import read_all
from emcore.methods.volume.classes import Classes, describe_classes
from emcore.methods.volume.grouping import EXPLAINED, METHODS, WindowGroups, group_windows
from emcore.methods.volume.labels import Tally, label_slabs, label_type
from emcore.methods.volume.overview import Survey, survey
from emcore.methods.volume.threshold import Phase, Values, phase_of
from emcore.methods.volume.windows import DEGREE, Grid, coefficients_of, settings_of
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.planes import Planes
from emcore.results.volume_analysis import VolumeAnalysis
from emcore.scans.choosing import measurement
from emcore.scans.volumes import select_volume, suits_volume

SMALLEST_WINDOW, LARGEST_WINDOW = 8, 256
# Values whose powers are single-precision numbers.
_VALUES = 1e15
# More than this part of windows that no class explains is said.
_POOR = 0.1
# Planes of labels that are written at a time.
_WRITTEN = 128


@with_progress_bar
@documented()
def analyze_volume(
    volume: Any,
    window: int = 50,
    step: int | None = None,
    *,
    method: str = "hdbscan",
    n_clusters: int | str = "auto",
    n_components: int = 10,
    threshold: float | None = None,
    phase: str = "bright",
    least: float = 0.05,
    dataset: str | int | None = None,
    labels: "str | os.PathLike[str] | None" = None,
    overwrite: bool = False,
    memory: int | str | None = None,
    checkpoint: Any = None,
    random_state: int = 0,
) -> VolumeAnalysis:
    """Find the textures of a volume, and where each is oriented how.

    Parameters
    ----------
    volume : array_like, memory map, HDF5, Zarr or Dask array, Signal, HyperSpy signal or path
        A real volume, shape (D, H, W), at least one window large, of voxels that are cubes. A
        path is a file, a store, or a folder of slices.
    window : int, default 50
        Side of the moving window in voxels, from 8 to 256: several periods of the textures
        sought. What has fewer than three periods in it is not seen.
    step : int, optional
        Step between windows in voxels, default half the window.
    method : {"hdbscan", "mixture", "kmeans"}, default "hdbscan"
        How windows are grouped into oriented classes: by regions of low density between them, a
        Gaussian mixture, or k-means.
    n_clusters : int or "auto", default "auto"
        How many oriented classes; "hdbscan" finds the number. A number is kept as it is; one
        that is found counts no mixtures of others, as windows along borders are.
    n_components : int, default 10
        Principal components by which windows are grouped, fitted on a sample of them.
    threshold : float, optional
        Of the phase. Default: between the two values of a binary volume, else Otsu's.
    phase : {"bright", "dark"}, default "bright"
        Which side of the threshold is the phase; what is on it is bright.
    least : float, default 0.05
        Windows with a smaller part of the phase are left out; their voxels have the label -1.
    %(dataset)s
    labels : path, optional
        An OME-Zarr store that is written for the label volumes, which are not held then. Needed
        where they take more than half of the memory.
    overwrite : bool, default False
        Replace that store.
    %(memory)s
    %(checkpoint)s
    random_state : int, default 0
        Seed of samples and starts.

    Returns
    -------
    VolumeAnalysis
        The same to the last bit on any number of threads, in memory and out of core.

    Raises
    ------
    ValueError
        A volume that is not 3-D, constant, smaller than a window, or holds NaN or infinity; a
        threshold that leaves nothing; more clusters than windows; too little memory (the least
        is named); a missing slice, or one of another size; a checkpoint of other data.
    TypeError
        Complex numbers, objects or strings.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import quasi_ordered_volume
    >>> surfaces = "gyroid", "primitive"
    >>> sample = quasi_ordered_volume((40, 40, 80), surfaces, 2, spacing=5, layout="blocks")
    >>> result = emcore.analyze_volume(sample.volume, window=20, step=5)
    >>> result.n_textures, result.n_classes, result.oriented.shape
    (2, 2, (40, 40, 80))
    """
    started = time.perf_counter()
    check_option(method, METHODS, "method")
    count = _checked_number(method, n_clusters)
    window = check_count(window, "window", SMALLEST_WINDOW, LARGEST_WINDOW)
    step = max(window // 2, 1) if step is None else check_count(step, "step", 1)
    n_components = check_count(n_components, "n_components", 1)
    least = check_number(least, "least", 0, 1)
    budget = check_memory(memory)
    observed = select_volume(measurement(volume, suits_volume, dataset, _read))
    planes = Planes(observed.data)
    grid = _grid(planes.shape, window, step)
    store = None if labels is None else Path(labels)
    if store is not None:
        check_store(store, overwrite)
    peak = _checked_peak(planes, grid, budget, store, memory is not None)
    if memory is not None:
        print(f"emcore: volume of {_size(planes.shape)}; predicted peak memory {in_words(peak)}", file=sys.stderr)
    parameters = {
        "window": window,
        "step": step,
        "method": method,
        "n_clusters": n_clusters,
        "n_components": n_components,
        "threshold": threshold,
        "phase": phase,
        "least": least,
        "dataset": dataset,
        "labels": None if store is None else str(store),
        "memory": memory,
        "random_state": random_state,
    }
    job = None
    if checkpoint is not None:
        identity = {name: value for name, value in parameters.items() if name not in ("labels", "memory")}
        source, identity = planes.source(), {"method": "analyze_volume", "version": __version__, **identity}
        job = Job(checkpoint, source, identity, at_once=source.lazy)
    with ExitStack() as stack:
        of_file = os.path.isfile(observed.source)
        digest = stack.enter_context(hashed(observed)) if of_file else None
        found, part, fractions, groups, classes = _analyzed(
            planes,
            grid,
            job,
            not of_file,
            lambda values: phase_of(values, threshold, phase),
            least,
            lambda coefficients: group_windows(coefficients, method, count, n_components, random_state),
        )
        n_empty = int(np.count_nonzero(fractions < least))
        picture = _overview(observed, found)
        textures, oriented, tally = _labelled(observed, grid, groups, picture, store, overwrite)
        sha256 = digest() if digest is not None else found.sha256
    voxel = abs(observed.axes[2].scale)
    scale = [abs(axis.scale) for axis in observed.axes]
    centres, notes = _centres(grid, observed.axes), _remarks(grid, groups, n_empty, part)
    total = max(int(tally.table.sum()), 1)
    return VolumeAnalysis(
        textures=textures,
        oriented=oriented,
        labels_path="" if store is None else str(store),
        texture_of=groups.texture_of,
        table=tally.table,
        share=tally.table.sum(axis=0) / total,
        texture_share=tally.table.sum(axis=1) / total,
        spectra=classes.spectra,
        frequency_z=_frequencies(window, scale[0]),
        frequency_y=_frequencies(window, scale[1]),
        frequency_x=_frequencies(window, scale[2]),
        profiles=classes.profiles,
        texture_profiles=classes.texture_profiles,
        frequency=np.arange(1, window // 2 + 1) / (window * voxel),
        degree_power=classes.degree_power,
        spacing=classes.spacing * voxel,
        direction=classes.direction,
        texture_spacing=classes.texture_spacing * voxel,
        pairs=classes.pairs,
        pair_angle=classes.pair_angle,
        pair_axis=classes.pair_axis,
        pair_correlation=classes.pair_correlation,
        parts=groups.parts.reshape(*grid.counts, -1),
        explained=groups.explained.reshape(grid.counts),
        phase_fraction=fractions.reshape(grid.counts),
        z=centres[0],
        y=centres[1],
        x=centres[2],
        threshold=part.threshold,
        phase_share=part.share,
        n_empty=n_empty,
        reason=groups.reason,
        texture_reason=groups.texture_reason,
        overview=picture,
        cut_z=_cut(found.cut_z, observed.axes[1:]),
        cut_y=_cut(found.cut_y, (observed.axes[0], observed.axes[2])),
        cut_x=_cut(found.cut_x, observed.axes[:2]),
        texture_cuts=_label_cuts(tally.texture_cuts, observed.axes),
        oriented_cuts=_label_cuts(tally.oriented_cuts, observed.axes),
        provenance=Provenance.record(
            "analyze_volume",
            parameters,
            observed,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
            sha256=sha256,
        ),
    )


def _analyzed(
    planes: Planes,
    grid: Grid,
    job: Job | None,
    hashing: bool,
    phase_by: Callable[[Values], Phase],
    least: float,
    group: Callable[[NDArray[np.float32]], WindowGroups],
) -> tuple[Survey, Phase, NDArray[np.float32], WindowGroups, Classes]:
    """A first look, the phase, its part of each window, groups of these and what describes them; as steps of a job."""

    def once(name: str, compute: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        return compute() if job is None else job.step(name, compute)

    found = Survey(*once("values", lambda: survey(planes, job, hashing)))
    part = phase_by(found.values)
    check_range(found.low, found.high, "volume", _VALUES)
    settings = settings_of(grid, ("harmonics", DEGREE), part, least, found.mean, (found.low, found.high))
    coefficients, fractions = once("windows", lambda: coefficients_of(planes, grid, settings, job))
    if (fractions < least).all():
        raise ValueError(
            f"no window holds {least:g} of the phase, which is {part.share:.2%} of all voxels; give a smaller least=, "
            "another threshold= or phase="
        )
    groups = WindowGroups(*once("groups", lambda: tuple(vars(group(coefficients)).values())))
    whole = settings._replace(reduce="none", least=0.0)
    classes = Classes(*once("spectra", lambda: describe_classes(planes, grid, whole, groups)))
    return found, part, fractions, groups, classes


def _read(path: Path) -> list[Signal]:
    """All data sets of a file, left in it."""
    return read_all(path, lazy=True, stored=True)


def _checked_number(method: str, n_clusters: int | str) -> int | None:
    if isinstance(n_clusters, str):
        check_option(n_clusters, ("auto",), "n_clusters")
        return None
    if method == "hdbscan":
        raise ValueError(
            f"n_clusters={n_clusters} goes with method='mixture' or 'kmeans'; 'hdbscan' finds the number of classes"
        )
    return check_count(n_clusters, "n_clusters", 1, 1000)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def _grid(shape: tuple[int, int, int], window: int, step: int) -> Grid:
    least = min(shape)
    if least < window:
        if least < SMALLEST_WINDOW:
            raise ValueError(f"volume is {_size(shape)} voxels; every side must be at least {SMALLEST_WINDOW}")
        raise ValueError(
            f"volume is {_size(shape)} voxels, smaller than window={window}; the largest possible is window={least}"
        )
    return Grid.of(shape, window, step)


def _checked_peak(planes: Planes, grid: Grid, budget: int, store: Path | None, limited: bool) -> int:
    """The memory that the analysis is going to take; refuses what there is no room for."""
    labels = 2 * int(np.prod(planes.shape, dtype=np.int64))
    if store is None and labels > budget // 2:
        raise ValueError(
            f"the labels of {_size(planes.shape)} voxels take {in_words(labels)}, more than half of the memory of "
            f"{in_words(budget)}: name an OME-Zarr store for them with labels=, or allow more with memory="
        )
    slab = grid.slab_bytes(planes.plane_bytes) + planes.held_bytes
    beside = labels if store is None else 2 * _WRITTEN * planes.shape[1] * planes.shape[2]
    peak = int(2 * grid.coefficient_bytes + max(slab, beside))
    if limited and peak > budget:
        raise ValueError(
            f"memory={in_words(budget)} is too little for {count_of(grid.n, 'window')} of a volume of "
            f"{_size(planes.shape)}: the smallest possible is {in_words(peak)}; a larger step= needs less"
        )
    return peak


def _labelled(
    signal: Signal, grid: Grid, groups: WindowGroups, picture: Signal, store: Path | None, overwrite: bool
) -> tuple[NDArray[Any] | None, NDArray[Any] | None, Tally]:
    """Both label volumes, or None where they are in a store; how many voxels have which, and cuts."""
    depth, height, width = signal.shape
    shape, counts = (depth, height, width), (groups.texture_parts.shape[1], groups.parts.shape[1])
    tally = Tally(shape, *counts)

    def slabs() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        of_textures, of_classes = (
            label_slabs(parts.reshape(*grid.counts, -1), shape, grid.window, grid.step)
            for parts in (groups.texture_parts, groups.parts)
        )
        for (where, textures), (_, oriented) in zip(of_textures, of_classes, strict=True):
            tally.add(where, textures, oriented)
            yield textures, oriented

    if store is not None:
        both = dict(zip(("textures", "oriented"), counts, strict=True))
        small = np.asarray(picture.data), picture.axes
        write_label_volumes(store, small, signal.axes, both, slabs(), signal.name, overwrite=overwrite)
        return None, None, tally
    textures, oriented = (np.empty(shape, label_type(count)) for count in counts)
    start = 0
    for some, others in slabs():
        textures[start : start + len(some)], oriented[start : start + len(some)] = some, others
        start += len(some)
    return textures, oriented, tally


def _overview(signal: Signal, found: Survey) -> Signal:
    side = max(size // bins for size, bins in zip(signal.shape, found.binned.shape, strict=True))
    axes = tuple(
        Axis(axis.name, bins, axis.scale * side, axis.offset + axis.scale * (side - 1) / 2, axis.units)
        for axis, bins in zip(signal.axes, found.binned.shape, strict=True)
    )
    return Signal(found.binned, axes, title="overview")


def _cut(values: NDArray[Any], axes: Sequence[Axis]) -> Signal:
    return Signal(values, tuple(axes), title="cut")


def _label_cuts(cuts: Sequence[NDArray[Any]], axes: Sequence[Axis]) -> tuple[Signal, ...]:
    z, y, x = axes
    return tuple(_cut(cut, pair) for cut, pair in zip(cuts, ((y, x), (z, x), (z, y)), strict=True))


def _frequencies(window: int, scale: float) -> NDArray[np.float64]:
    return (np.arange(window) - window // 2) / (window * scale)


def _centres(grid: Grid, axes: Sequence[Axis]) -> list[NDArray[np.float64]]:
    middle = (grid.window - 1) / 2
    return [
        np.asarray(axis.offset + axis.scale * (np.arange(count) * grid.step + middle), dtype=np.float64)
        for axis, count in zip(axes, grid.counts, strict=True)
    ]


def _remarks(grid: Grid, groups: WindowGroups, n_empty: int, part: Phase) -> tuple[str, ...]:
    notes: tuple[str, ...] = (
        f"phase by a threshold of {number(part.threshold)} ({part.how}): {part.share:.1%} of the voxels",
    )
    if n_empty:
        notes += (f"{n_empty} of {grid.n} windows hold too little of the phase: they took no part",)
    counted = grid.n - n_empty
    pure = int(np.count_nonzero(groups.pure()))
    notes += (f"{pure} of {counted} windows lie in one class, {counted - pure} across borders",)
    unknown = int(np.count_nonzero(groups.explained[groups.parts.max(axis=1) > 0] < EXPLAINED))
    if unknown > _POOR * counted:
        notes += (
            f"{unknown} windows are hardly explained by the classes: grains may be smaller than the window, or bent; a "
            "smaller window= or step= may tell",
        )
    return notes
