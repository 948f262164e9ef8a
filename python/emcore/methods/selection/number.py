"""How many clusters of one ellipsoidal shape are there?

As many as have the largest silhouette, in units of the scatter within the groups which regions of low density part.

The positions of a scan tell more. There are fewer as soon as the scan does not change where two clusters touch. And as
long as the two nearest clusters are as far apart as before one was added, or as noise lets any be, and the scan steps
less within them, there may be more. Between these two numbers the silhouette decides, for the least where it is about
the same for several.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.selection.borders import Separation, flattest_means, least_separation, least_step
from emcore.methods.selection.clusters import silhouette
from emcore.methods.selection.density import DensityGroups
from emcore.methods.selection.steps import spread_of_steps, steps_apart
from emcore.methods.selection.within import common_shape, in_units_of, scatter_within, usual

# Runs of k-means of which the best is judged.
_STARTS = 5
# Numbers that are tried at first, how many beyond the groups of density, and how many further where the last is best.
_FIRST, _BEYOND, _FURTHER, _LARGEST = 8, 3, 4, 200
# The largest number of which borders are looked at, and axes of a scan that has any, in positions.
_LOOKED_AT, _LEAST = 24, 4
# Rows on which the number is sought, and of which the silhouette is found.
_ROWS, _SILHOUETTE = 4000, 1500
# A silhouette below is no clear structure: numbers that rest on one were wrong in every other case.
_CLEAR = 0.6
# One that is larger by less than this hardly chooses between two numbers.
_SURE = 0.02
# Along a border that changes by less, in units of the distance of the means, there are not two phases.
_STEP = 0.6
# Clusters are as far apart as before at this part; and as far as noise lets them be at that, and not cut in noise.
_AS_BEFORE, _AS_NOISE, _NO_CUT = 0.6, 0.3, 8.0
# By so much the spread of steps within clusters falls where one more takes a border out of them, a cut along none.
_FALL = 0.18


@dataclass(frozen=True)
class NumberChoice:
    """A number of clusters, and why."""

    n_clusters: int
    reason: str


def choose_number(
    places: Floats,
    groups: DensityGroups,
    seed: int,
    grid: tuple[int, ...] = (),
    positions: NDArray[np.intp] | None = None,
) -> NumberChoice:
    """
    How many clusters there are.

    Parameters
    ----------
    places : ndarray, shape (n, p)
        At least 4 rows.
    groups : DensityGroups
        Of these places.
    seed : int
    grid : tuple of int, optional
        Shape of the scan; only two axes have borders.
    positions : ndarray of int, shape (n,), optional
        Where on the flattened scan the rows are; default all of it.

    Returns
    -------
    NumberChoice
        From 2 on; of the reason a part says where it is not clear, or the largest number tried.

    Examples
    --------
    >>> from emcore.methods.selection.density import density_groups
    >>> rng = np.random.default_rng(0)
    >>> places = rng.normal(size=(600, 2)) + 9 * rng.integers(0, 3, (600, 1))
    >>> choose_number(places, density_groups(places), 0).n_clusters
    3
    """
    taken = usual(places, _ROWS, seed)
    rows, labels = places[taken], groups.labels[taken]
    units = in_units_of(rows, scatter_within(rows, labels)) if groups.n_groups > 1 else rows
    most = min(len(np.unique(units.astype(np.float32), axis=0)) - 1, _LARGEST)
    last = min(max(_FIRST, groups.n_groups + _BEYOND), most)
    said, values = "", dict[int, float]()
    if len(grid) == 2 and min(grid) >= _LEAST:
        first, every, said = _by_borders(places, groups, seed, grid, positions, min(last, _LOOKED_AT))
        if said:
            last = most = max(every)
            of_last = in_units_of(rows, scatter_within(rows, every[last][taken]))
            for k in range(first, last + 1):
                each = [_silhouette(of, every[k][taken], seed) for of in (units, of_last)]
                values[k] = float(np.mean(each))
    if not said:
        while True:
            for k in range(2 + len(values), last + 1):
                found = kmeans(units.astype(np.float32), k, n_init=_STARTS, random_state=seed).labels
                values[k] = _silhouette(units, found, seed)
            if not values:
                return NumberChoice(2, "there are no more different positions")
            if max(values, key=lambda k: values[k]) < last or last >= most:
                break
            last = min(last + _FURTHER, most)
    best = max(values, key=lambda k: values[k])
    if said:
        # Of numbers that are about as likely the least: one more has to show.
        best = min(k for k in values if values[k] > values[best] - _SURE)
    return NumberChoice(best, _reason(values, best, said, len(units), groups))


def _silhouette(units: Floats, labels: NDArray[np.int32], seed: int) -> float:
    """Of the clusters that have rows here; of a single one there is none."""
    own, found = np.unique(labels, return_inverse=True)
    if len(own) < 2:
        return 0.0
    sample = min(len(units), _SILHOUETTE)
    rng = np.random.default_rng(seed)
    return silhouette(units.astype(np.float32), found.astype(np.int32), len(own), sample, rng)


def _reason(values: dict[int, float], best: int, said: str, n: int, groups: DensityGroups) -> str:
    first, last = min(values), max(values)
    second = max((k for k in values if k != best), key=lambda k: values[k], default=best)
    if first < last:
        largest = "the largest silhouette" if values[best] >= values[second] else "about the largest silhouette"
        reason = f"{best} have {largest} of {first} to {last}, {values[best]:.2f}; next {second}, {values[second]:.2f}"
    else:
        reason = f"{best} are apart, silhouette {values[best]:.2f}"
    reason += said
    if values[best] < _CLEAR:
        reason += "; no structure is clear, the number is not to be relied on"
    elif not said and best == last < n - 1:
        reason += "; it is the largest number tried: there may be more"
    elif second != best and abs(values[best] - values[second]) < _SURE:
        reason += f"; {second} are about as likely"
    if groups.n_groups > 1 and groups.n_groups != best:
        reason += f"; regions of low density part {groups.n_groups}"
    return reason


def _by_borders(
    places: Floats,
    groups: DensityGroups,
    seed: int,
    grid: tuple[int, ...],
    positions: NDArray[np.intp] | None,
    last: int,
) -> tuple[int, dict[int, NDArray[np.int32]], str]:
    """The least number that the scan allows, labels of every number up to the largest, and why no more.

    Nothing is said where borders do not tell.
    """
    size = grid[0] * grid[1]
    at = np.arange(size) if positions is None else positions
    scan, labels = np.full((size, places.shape[1]), np.nan), np.full(size, -1, dtype=np.int32)
    scan[at] = places
    scan = scan.reshape(*grid, -1)
    flattest = flattest_means(scan)
    pairs = steps_apart(grid, at)
    every: dict[int, NDArray[np.int32]] = {}
    first, before, steps = 2, None, np.inf
    for k in range(2, last + 1):
        labels[at] = common_shape(places, k, groups, seed, pairs)[0]
        on_scan = labels.reshape(grid)
        if least_step(scan, flattest, on_scan) < _STEP:
            return first, every, f"; of {k} two touch where the scan does not change" if every else ""
        every[k] = labels[at]
        nearest = least_separation(scan, on_scan)
        fewer, steps = steps, spread_of_steps(places, every[k], pairs)
        if before is not None and first == k - 1 and fewer - steps > _FALL and _as_far(nearest, before):
            first = k
        before = nearest
    return 2, every, ""


def _as_far(now: Separation, before: Separation) -> bool:
    """Whether the nearest clusters are as far apart as before one was added, or as noise lets them be."""
    as_before = now.own >= _AS_BEFORE * before.own and now.of_noise >= _AS_BEFORE * before.of_noise
    return as_before or (now.of_noise >= _AS_NOISE and now.own >= _NO_CUT)
