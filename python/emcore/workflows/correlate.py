"""Which phases does a scan hold, when several signals were taken at every position?

Signals are scaled, balanced and put side by side (`emcore.scans.merging`); their principal components are clustered
with memberships; the signals of each cluster are means of the measured data (Duran et al. 2023).

Some things differ from the paper, each because data asked for it. Features that vary by no more than their noise, which
is what neighbouring positions differ by, are left out, and so are components. Features are scaled by their noise: in
units of their standard deviation those that hardly tell phases apart weigh as much as those that do, and phases that
are nearly alike are half as far apart. Clusters have one shape, common to all (`emcore.methods.selection.within`): a
strong variation which is no phase, such as bending, then does not decide what is a cluster; with a shape of its own for
each, as Gustafson-Kessel has it, there is too much to find. Nor are clusters cut through what bends where the scan
steps within another (`emcore.methods.selection.steps`). The paper's choices are at hand:
``method="gustafson-kessel"``, ``scaling="robust"``, ``components="threshold"``, of which the last counts the variance
above the noise, of which robustly scaled counts have so much that nothing reaches 1 % of all. The fuzziness is
m = 1 + 2/p for p components, at most 2: memberships are then one over the volume of the ellipsoid through a point, and
do not fade as p grows.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal, array_sha256
from emcore.core.validation import Floats, check_count, check_number, check_option
from emcore.methods.fuzzy.fit import FuzzyResult
from emcore.methods.fuzzy.fit import cluster as fuzzy_clusters
from emcore.methods.fuzzy.membership import CovarianceSettings
from emcore.methods.fuzzy.validity import fuzzy_validity
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.pca.fit import PCAResult, pca, scores
from emcore.methods.pca.together import Merged, pca_together, together_bytes
from emcore.methods.selection.components import n_components as rank_by_rule
from emcore.methods.selection.density import DensityGroups, density_groups
from emcore.methods.selection.noise import components_above_noise, count_above_noise
from emcore.methods.selection.number import choose_number
from emcore.methods.selection.rules import RankChoice
from emcore.methods.selection.steps import steps_apart
from emcore.methods.selection.within import common_shape
from emcore.results.fuzzy_clustering import FuzzyClustering, mean_signals
from emcore.scans.axes import SignalAxis
from emcore.scans.gaps import Gaps
from emcore.scans.grids import on_one_grid
from emcore.scans.merging import MergedSignals, merge_several
from emcore.scans.neighbours import neighbours, noise_between, variance_of
from emcore.scans.patterns import join_job
from emcore.scans.several import Several, several
from emcore.scans.spectrum_rows import is_held, predicted, read_within, reads_said
from emcore.scans.survey import Surveyed, survey

METHODS = ("common-shape", "gustafson-kessel", "fuzzy-c-means", "k-means")
COMPONENT_RULES = ("noise", "threshold", "parallel", "gap", "elbow", "jany", "broken-stick")
# Components that are computed, and the part of the variance above noise from which on one counts.
_LOOKED_AT = 30
_MINIMUM = 0.01
_STARTS = 10
# What is kept of every position beside a pass and scores, in bytes.
_PER_POSITION = 200


@with_progress_bar
@documented()
def correlate(
    signals: Sequence[Any],
    n_clusters: int | str = "auto",
    *,
    method: str = "common-shape",
    scaling: str = "noise",
    balance: str = "equal",
    iqr_zero: str = "std",
    components: int | str = "noise",
    threshold: float = 0.5,
    m: float | None = None,
    signal_axis: Sequence[SignalAxis] | None = None,
    dataset: Sequence[str | int | None] | None = None,
    random_state: int = 0,
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> FuzzyClustering:
    """Find the phases of a scan from two or more signals taken at the same positions.

    Parameters
    ----------
    signals : sequence of array_like, Signal, HyperSpy signal or path
        For example ``[diffraction, eds]``: each of shape (y, x, ...), with the same scan, in
        the detector's own type. No float copy of any is made. Memory maps, HDF5 and Zarr
        arrays, lazy signals and Dask arrays that take more than half of `memory` together are
        visited in blocks, all signals in each pass: four times where the Gram matrix of what is
        compared has room, else some twenty times; with "robust" more often, as quartiles are
        found of as many features at a time as fit into `memory`.
    n_clusters : int or "auto", default "auto"
        k, at least 2. "auto": the number of largest silhouette, in units of the scatter within
        groups that regions of low density part; of a scan of two axes, of those numbers of
        which no two clusters touch where the scan does not change, and not below those that are
        all apart, the least of those that are about as likely.
    method : str, default "common-shape"
        One of "common-shape", "gustafson-kessel", "fuzzy-c-means", "k-means".
        Clusters of one ellipsoidal shape, each of a shape of its own, round ones, or round ones
        without memberships between 0 and 1. What is round is so after components were scaled to
        equal variance.
    scaling, balance, iqr_zero : str
        See `emcore.merge_signals`; the default of `scaling` is "noise". With "robust" all
        features are compared, else those that vary by more than neighbouring positions differ.
    components : int or str, default "noise"
        How many principal components are clustered. "noise": those whose variance is at least
        1.3 times what neighbouring positions differ by; "threshold": those with at least 1 % of
        the variance that is above the noise; "parallel": all above the noise; or another rule
        of `emcore.n_components`: "gap", "elbow", "jany", "broken-stick".
    threshold : float, default 0.5
        In [0, 1]: positions with a larger membership make up the mean signals of a cluster.
    m : float, optional
        Fuzziness, above 1; default 1 + 2/p for p components, at most 2.
    signal_axis : sequence, optional
        For each signal the axis along which it lies, by number or name, the two of a pattern,
        or None for what the axes' units, names and flags say.
    dataset : sequence of str, int or None, optional
        For each signal which data set of its file, by name or number as `emcore.describe` lists
        them.
    random_state : int, default 0
        Seed of the PCA and of the starts of clustering.
    %(memory)s
    %(checkpoint)s

    Returns
    -------
    FuzzyClustering
        The same to the last bit on any number of threads. Positions where a signal has NaN or
        infinity, or all are one value throughout, are no measurement: they take no part, have
        label -1 and memberships of 0.

    Raises
    ------
    ValueError
        Scan grids that do not match, a signal that is constant, NaN or infinity at every
        position (the first is named), one cluster or more than there are distinct positions, a
        threshold outside [0, 1], an unknown option; too little memory (the least is named); a
        checkpoint of other data or settings.
    TypeError
        Data that are not real numbers, signals that are no list.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import adjusted_rand_index, co_fe_ratio, correlated_scan
    >>> sample = correlated_scan()
    >>> result = emcore.correlate([sample.diffraction, sample.eds], n_clusters=4)
    >>> adjusted_rand_index(sample.labels, result.labels) > 0.9
    True

    The second phase from purer and purer positions:

    >>> energy = sample.eds.axis("energy").values
    >>> for threshold in (0.5, 0.75):
    ...     diffraction, eds = result.cluster_signals(threshold)
    ...     print(f"Co/Fe {co_fe_ratio(eds, energy).min():.3f}, truth {sample.co_fe.min():.3f}")
    Co/Fe 0.294, truth 0.277
    Co/Fe 0.293, truth 0.277
    """
    started = time.perf_counter()
    on_grid = on_one_grid(signals, signal_axis, dataset, lambda path: read_within(path, memory))
    if len(on_grid) < 2:
        raise ValueError(
            "signals holds one signal; two or more are correlated, for one there is emcore.GustafsonKessel"
        )
    looked_at = max(components if isinstance(components, int) else 0, _LOOKED_AT)
    tau = check_number(threshold, "threshold", 0, 1)
    settings = _Settings(
        0,
        check_option(method, METHODS, "method"),
        _checked_components(components),
        None if m is None else check_number(m, "m", 1.001, 1000),
        check_count(random_state, "random_state", 0, 2**63 - 1 - _STARTS),
    )
    together = several(on_grid, memory, _PER_POSITION + 4 * looked_at * (1 + len(on_grid)))
    source, grid = together.source, together.grid
    scale = {"scaling": scaling, "balance": balance, "iqr_zero": iqr_zero}
    parameters: dict[str, Any] = {"n_clusters": n_clusters, "method": method, **scale, "components": components}
    parameters |= {"threshold": threshold, "m": m, "random_state": random_state}
    if memory is not None and together.left:
        print(predicted(source, 0, together_bytes(source.shape, looked_at)), file=sys.stderr)
    join_job(source, checkpoint, "correlate", memory, {"scan": grid, **parameters})
    surveyed = survey(together, noise=scaling != "robust")
    gaps = surveyed.gaps
    n = len(gaps.measured)
    k = 0
    if isinstance(n_clusters, str):
        check_option(n_clusters, ("auto",), "n_clusters")
    else:
        k = check_count(n_clusters, "n_clusters", 2, n, f"one scan position each at most, of {n}")
    settings = replace(settings, k=k, grid=grid, positions=gaps.measured)
    merged, more = merge_several(together, surveyed, **scale)
    reduced, made = _reduced(together, surveyed, merged, settings)
    groups = _clustered(merged, reduced[0], settings)
    k, settings = groups.memberships.shape[1], replace(settings, k=groups.memberships.shape[1])
    alone = [_clustered(merged.only(i), each, settings).memberships for i, each in enumerate(reduced[1:])]
    memberships = groups.memberships.astype(np.float32)
    labels = memberships.argmax(axis=1).astype(np.int32)
    at_threshold = mean_signals(together, gaps.spread(memberships, 0), tau)
    parts = merged.split(groups.components)
    counts = np.bincount(labels, minlength=k)
    on_grid = list(together.signals)
    titles = [signal.title or f"signal {i}" for i, signal in enumerate(on_grid)]
    inside = [tuple(axis for axis in signal.axes if not axis.navigation) for signal in on_grid]

    def each(name: str, values: Sequence[NDArray[Any]]) -> tuple[Signal, ...]:
        stacks = zip(values, inside, titles, strict=True)
        return tuple(
            Signal(v.reshape(len(v), *(a.size for a in axes)), (Axis(name, len(v), navigation=True), *axes), "", title)
            for v, axes, title in stacks
        )

    parameters |= {"threshold": tau, "m": groups.m, "random_state": settings.seed}
    read = 1 + surveyed.passes + more + made
    of_reads = (reads_said(together.nbytes, memory, read),) if together.left else ()
    notes = (*gaps.notes, *surveyed.notes, *merged.notes, *groups.notes, *of_reads)
    result = FuzzyClustering(
        memberships=_maps(memberships, gaps, grid),
        labels=gaps.spread(labels, -1).reshape(grid),
        area=counts / n,
        positions=at_threshold.positions,
        validity=groups.validity,
        n_clusters=k,
        threshold=tau,
        scores=_maps(groups.scores, gaps, grid),
        evr=groups.pca.explained_variance_ratio,
        n_components=groups.choice.n,
        rule=groups.choice.rule,
        reason=groups.choice.reason,
        number=groups.number,
        alone=np.stack([_maps(_matched(one, groups.memberships), gaps, grid) for one in alone]),
        signals=each("cluster", at_threshold),
        components=each("component", parts),
        means=tuple(
            Signal(mean.reshape([axis.size for axis in axes]), axes, signal.source, title, _of_instrument(signal))
            for mean, axes, signal, title in zip(surveyed.mean, inside, on_grid, titles, strict=True)
        ),
        image=_picture(on_grid[0], surveyed.pictures[0]),
        n_empty=gaps.n_empty,
        provenance=_provenance(parameters, together, surveyed, started, notes),
    )
    object.__setattr__(result, "_inputs", together.signals)
    object.__setattr__(result, "_memory", memory)
    return result


def _of_instrument(signal: Signal) -> dict[str, Any]:
    """What the file of one of the signals says of its instrument; the provenance has that of the first."""
    known = signal.metadata.get("instrument")
    return {"instrument": known} if known else {}


@dataclass(frozen=True)
class _Settings:
    k: int
    method: str
    components: int | str
    m: float | None
    seed: int
    grid: tuple[int, ...] = ()
    positions: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    @property
    def pairs(self) -> NDArray[np.intp]:
        """Neighbours among the positions."""
        return neighbours(self.grid, self.positions)

    @property
    def apart(self) -> NDArray[np.intp]:
        """Positions between which the scan steps."""
        return steps_apart(self.grid, self.positions)


@dataclass(frozen=True, eq=False)
class _Groups:
    """Clusters of a merged matrix, largest first."""

    memberships: Floats
    pca: PCAResult
    components: Floats
    scores: Floats
    choice: RankChoice
    number: str
    m: float
    validity: dict[str, float]
    notes: tuple[str, ...]


def _reduced(
    together: Several, surveyed: Surveyed, merged: MergedSignals, settings: _Settings
) -> tuple[list[tuple[PCAResult, Floats]], int]:
    """Principal components and scores of all signals together and of each alone; and in how many passes."""
    count = len(together.signals)
    asked = settings.components if isinstance(settings.components, int) else 0
    n = merged.rows.shape[0]
    sizes = [min(max(asked, _LOOKED_AT), n, len(np.concatenate(merged.variances)))]
    sizes += [min(max(asked, _LOOKED_AT), n, len(each)) for each in merged.variances]
    if not together.left:
        matrices = [merged, *(merged.only(i) for i in range(count))]
        found = [pca(each.rows, size, random_state=settings.seed) for each, size in zip(matrices, sizes, strict=True)]
        return [(each, scores(matrix.rows, each)) for each, matrix in zip(found, matrices, strict=True)], 0
    means, squares = [], []
    for mean, keep, recipe, variance in zip(surveyed.mean, merged.kept, merged.recipes, merged.variances, strict=True):
        offset, factor = (np.asarray(each, dtype=np.float32) for each in (recipe.offset, recipe.scale))
        means.append((mean[keep] - offset) * factor.astype(np.float64))
        squares.append(n * variance)
    asked_for = [Merged(tuple(range(count)), np.concatenate(means), np.concatenate(squares), sizes[0])]
    asked_for += [Merged((i,), means[i], squares[i], sizes[1 + i]) for i in range(count)]
    fitted, of_rows, made = pca_together(
        together.source, merged.rows.recipes, ~surveyed.gaps.empty, asked_for, settings.seed
    )
    return [(each, values.astype(np.float64)) for each, values in zip(fitted, of_rows, strict=True)], made


def _clustered(merged: MergedSignals, reduced: tuple[PCAResult, Floats], settings: _Settings) -> _Groups:
    result, whole = reduced
    if settings.components == "noise":
        pairs = settings.pairs
        known = len(pairs) > 0
        variance = variance_of(whole, pairs) if known else whole.var(axis=0)
        choice, kept = components_above_noise(variance, noise_between(whole, pairs) if known else None)
    else:
        choice = _choose(result, merged, settings.components)
        kept = np.arange(whole.shape[1]) < choice.n
    components, places = result.components[kept], np.ascontiguousarray(whole[:, kept])
    p = choice.n
    deviation = places.std(axis=0)
    if not (deviation > 0).all():
        p = int(np.count_nonzero(deviation))
        raise ValueError(f"components={choice.n} is too many: only {p} vary; ask for fewer")
    groups = None
    k, number = settings.k, f"n_clusters={settings.k} was asked for"
    if not k or settings.method == "common-shape":
        groups = density_groups(places, settings.seed)
    if not k and groups is not None:
        chosen = choose_number(places, groups, settings.seed, settings.grid, settings.positions)
        k, number = chosen.n_clusters, chosen.reason
    m = min(2.0, 1 + 2 / p) if settings.m is None else settings.m
    u, validity, notes = _memberships(places, replace(settings, k=k), m, groups)
    order = np.argsort(-np.bincount(u.argmax(axis=1), minlength=k), kind="stable")
    return _Groups(u[:, order], result, components, places, choice, number, m, validity, notes)


def _memberships(
    places: Floats, settings: _Settings, m: float, groups: DensityGroups | None
) -> tuple[Floats, dict[str, float], tuple[str, ...]]:
    """The best clustering from several starts."""
    k, seed = settings.k, settings.seed
    white = places / places.std(axis=0)
    distinct = len(np.unique(white, axis=0))
    if distinct < k:
        raise ValueError(f"n_clusters={k} is too many: there are {distinct} distinct scan positions")
    if settings.method == "common-shape" and groups is not None:
        labels, units = common_shape(places, k, groups, seed, settings.apart)
        best = fuzzy_clusters(units, k, m, 300, 1e-5, 1, _softened(labels, k), seed)
        u = np.asarray(best.memberships, dtype=np.float64)
        return u, fuzzy_validity(units, u, best.centers, m=m)._asdict(), _notes(best)
    starts = [kmeans(white, k, random_state=seed + i) for i in range(_STARTS)]
    starts.sort(key=lambda start: start.inertia)
    if settings.method == "k-means":
        hard = np.eye(k)[starts[0].labels]
        return hard, fuzzy_validity(white, hard, starts[0].centers, m=m)._asdict(), ()
    shape = CovarianceSettings() if settings.method == "gustafson-kessel" else None
    begun = {round(start.inertia, 6): start.labels for start in starts}
    if shape is not None:
        # What is round in other units is where clusters of other shapes may begin.
        begun[-1.0] = kmeans(places, k, n_init=_STARTS, random_state=seed).labels
        begun[-2.0] = common_shape(places, k, density_groups(places, seed), seed, settings.apart)[0]
    runs = [fuzzy_clusters(white, k, m, 300, 1e-5, 1, _softened(labels, k), seed, shape) for labels in begun.values()]
    best = min(runs, key=lambda run: float(run.objective[-1]))
    u = np.asarray(best.memberships, dtype=np.float64)
    validity = fuzzy_validity(white, u, best.centers, m=m, covariances=best.covariances)
    return u, validity._asdict(), _notes(best)


def _softened(labels: NDArray[np.int32], k: int) -> Floats:
    """Memberships to begin with."""
    return 0.9 * np.eye(k)[labels] + 0.1 / k


def _notes(run: FuzzyResult) -> tuple[str, ...]:
    return run.notes if run.converged else (*run.notes, "clustering had not converged after 300 iterations")


def _choose(result: PCAResult, merged: MergedSignals, components: int | str) -> RankChoice:
    if isinstance(components, int):
        if components > len(result.singular_values):
            raise ValueError(f"components={components} is too many for rows of shape {merged.rows.shape}")
        return RankChoice(components, "given", f"components={components} was asked for")
    n = merged.rows.shape[0]
    values = result.singular_values**2 / n
    evr = result.explained_variance_ratio
    if components in ("threshold", "parallel"):
        above = count_above_noise(values, result.components, np.concatenate(merged.variances), n)
        share = f"{100 * float(evr[:above].sum()):.3g} % of all"
        most = "at least " if above == len(values) < min(merged.rows.shape) else ""
        if not above:
            return RankChoice(1, components, "nothing stands out from noise; at least 1 is kept")
        if components == "parallel":
            return RankChoice(above, components, f"{most}{above} stand out from noise; they carry {share}")
        count = int(np.count_nonzero(values[:above] >= _MINIMUM * values[:above].sum()))
        carry = "carries" if count == 1 else "carry"
        said = f"{count} {carry} at least 1 % of the variance above the noise, which is {share}"
        return RankChoice(count, components, said)
    options: dict[str, Any] = {"n_total": min(merged.rows.shape)} if components == "broken-stick" else {}
    return rank_by_rule(evr, components, **options)


def _checked_components(components: Any) -> int | str:
    if isinstance(components, str):
        return check_option(components, COMPONENT_RULES, "components")
    return check_count(components, "components", 1)


def _matched(memberships: Floats, reference: Floats) -> Floats:
    """Clusters in the order that gives the largest overlap with those of the reference."""
    from scipy.optimize import linear_sum_assignment

    _, order = linear_sum_assignment(-(reference.T @ memberships))
    return memberships[:, order]


def _maps(values: NDArray[Any], gaps: Gaps, grid: tuple[int, ...]) -> NDArray[np.float32]:
    """A map of each column of what measured positions have, zero at the others."""
    return np.ascontiguousarray(gaps.spread(values, 0).T, dtype=np.float32).reshape(-1, *grid)


def _picture(signal: Signal, means: NDArray[np.float32]) -> Signal:
    scan = tuple(replace(axis, navigation=False) for axis in signal.axes if axis.navigation)
    return Signal(means.reshape([axis.size for axis in scan]), scan, signal.source, signal.title)


def _provenance(
    parameters: dict[str, Any], together: Several, surveyed: Surveyed, started: float, notes: Sequence[str]
) -> Provenance:
    done: dict[str, Any] = {"elapsed": time.perf_counter() - started, "threads": get_num_threads(), "notes": notes}
    records = []
    for signal, picture in zip(together.signals, surveyed.pictures, strict=True):
        # What is left where it is stored is known by its picture: nothing is read once more for this.
        left = together.left and not is_held(signal)
        digest = array_sha256(picture) if left else ""
        records.append(Provenance.record("correlate", parameters, signal, **done, sha256=digest))
    names, hashes = (" + ".join(getattr(r, key) for r in records) for key in ("input_name", "input_sha256"))
    said = tuple(dict.fromkeys(note for record in records for note in record.notes))
    return replace(records[0], input_name=names, input_sha256=hashes, notes=said)
