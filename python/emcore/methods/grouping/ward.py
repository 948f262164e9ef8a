"""Which neighbouring positions of a scan belong together? Ward's linkage, which joins only what touches.

Of all groups that touch, those two are joined by which the sum of squared deviations from the means of the groups grows
least (Ward, J. Am. Stat. Assoc. 58 (1963) 236). Every group is one connected piece of the scan.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats, check_finite
from emcore.methods.superpixels.slic import renumbered

# Joinings from the last one on that are looked at. A gap that is clear is so many times wide; of others those that are
# nearly so wide, in logarithms; the least change across a sharp border, as a part of the difference of the means;
# the part of the joinings above that have one.
_MOST, _CLEAR, _ABOUT, _SHARP, _MOSTLY = 200, 2.0, 0.65, 0.8, 0.8
# Pairs that are compared at a time.
_EDGES = 1 << 15


@dataclass(frozen=True, eq=False)
class Tree:
    """All joinings, the last one of everything.

    Attributes
    ----------
    children : ndarray, shape (n - 1, 2), intp
        The two that are joined: rows below n, else the joining n + i before.
    heights : ndarray, shape (n - 1,), float64
        Root of twice the sum by which the squared deviations grow, never less than before.
    """

    children: NDArray[np.intp]
    heights: Floats

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.children) + 1

    def labels(self, k: int) -> NDArray[np.int32]:
        """Labels of k groups, in the order in which they are met: without the last k - 1 joinings.

        Examples
        --------
        >>> Tree(np.array([[0, 1], [2, 3]]), np.array([1.0, 2.0])).labels(2).tolist()
        [0, 0, 1]
        """
        return renumbered(_roots(self, self.n - k)[: self.n])


def _roots(tree: Tree, joinings: int) -> NDArray[np.intp]:
    """Of every row and joining that of the first so many joinings, or itself, in which it has ended."""
    root = np.arange(2 * tree.n - 1)
    root[tree.children[:joinings].ravel()] = np.repeat(tree.n + np.arange(joinings), 2)
    while True:
        further = root[root]
        if np.array_equal(further, root):
            return root
        root = further


def touching_pairs(rows: NDArray[np.integer]) -> NDArray[np.intp]:
    """
    Pairs of rows whose positions touch along y or x; across positions without a row the nearest ones do.

    Parameters
    ----------
    rows : ndarray of int, shape (y, x)
        The row of every position: several positions may be of one; negative ones are of none.

    Returns
    -------
    ndarray of int, shape (pairs, 2)
        The lower row first; all rows hang together.

    Examples
    --------
    >>> touching_pairs(np.array([[0, -1, -1, 1], [0, 2, 2, 1]])).tolist()
    [[0, 2], [1, 2]]
    """
    from scipy import ndimage

    if rows.min() < 0:
        rows = rows[tuple(ndimage.distance_transform_edt(rows < 0, return_distances=False, return_indices=True))]
    sides = [
        np.stack([first.ravel(), second.ravel()], axis=1)
        for first, second in ((rows[:-1], rows[1:]), (rows[:, :-1], rows[:, 1:]))
    ]
    both = np.sort(np.concatenate(sides).astype(np.intp), axis=1)
    return np.unique(both[both[:, 0] != both[:, 1]], axis=0)


def ward(places: NDArray[np.floating], pairs: NDArray[np.intp]) -> Tree:
    """
    Join rows, only such that hang together by pairs.

    By turns, all that are to each other the ones by whose joining least is lost are joined at once: as many turns as
    there are levels, where joining pair by pair would take one for every row.

    Parameters
    ----------
    places : ndarray, shape (n, p)
        At least 2 rows.
    pairs : ndarray of int, shape (m, 2)
        By which all rows hang together.

    Returns
    -------
    Tree

    Raises
    ------
    ValueError
        NaN or infinity, or rows that do not hang together.

    Examples
    --------
    >>> tree = ward(np.array([[0.0], [1.0], [9.0], [5.0]]), np.array([[0, 1], [1, 2], [2, 3]]))
    >>> tree.labels(3).tolist(), tree.heights.round(2).tolist()
    ([0, 0, 1, 2], [1.0, 4.0, 9.19])
    """
    n = len(places)
    check_finite(np.asarray(places), "places")
    means, sizes = np.array(places, dtype=np.float64), np.ones(n)
    nodes, of_nodes = np.arange(n), np.zeros(n)
    edges = np.unique(np.sort(pairs, axis=1), axis=0)
    children, heights = np.empty((n - 1, 2), dtype=np.intp), np.empty(n - 1)
    done = 0
    while len(nodes) > 1:
        costs = _costs(means, sizes, edges)
        first, second, cost = _mutual(edges, costs, len(nodes))
        new = slice(done, done + len(first))
        children[new] = np.stack([nodes[first], nodes[second]], axis=1)
        # A joining within one that touches more than its parts did may cost less than theirs.
        heights[new] = np.maximum(np.sqrt(2 * cost), np.maximum(of_nodes[first], of_nodes[second]))
        both = sizes[first] + sizes[second]
        means[first] += (means[second] - means[first]) * (sizes[second] / both)[:, None]
        sizes[first], of_nodes[first] = both, heights[new]
        nodes[first] = n + done + np.arange(len(first))
        done += len(first)
        left = np.ones(len(nodes), dtype=bool)
        left[second] = False
        index = np.cumsum(left) - 1
        index[second] = index[first]
        means, sizes, nodes, of_nodes = means[left], sizes[left], nodes[left], of_nodes[left]
        edges = np.sort(index[edges], axis=1)
        edges = edges[edges[:, 0] != edges[:, 1]]
        keys = np.unique(edges[:, 0] * len(nodes) + edges[:, 1])
        edges = np.stack([keys // len(nodes), keys % len(nodes)], axis=1)
    order = np.argsort(heights, kind="stable")
    place = np.empty(2 * n - 1, dtype=np.intp)
    place[:n], place[n + order] = np.arange(n), n + np.arange(n - 1)
    return Tree(place[children[order]], heights[order])


def _costs(means: Floats, sizes: Floats, edges: NDArray[np.intp]) -> Floats:
    """By how much the squared deviations grow where two nodes are joined."""
    costs = np.empty(len(edges))
    for start in range(0, len(edges), _EDGES):
        first, second = edges[start : start + _EDGES].T
        apart = means[first] - means[second]
        weight = sizes[first] * sizes[second] / (sizes[first] + sizes[second])
        costs[start : start + _EDGES] = weight * np.einsum("ij,ij->i", apart, apart)
    return costs


def _mutual(edges: NDArray[np.intp], costs: Floats, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Pairs of nodes that are each other's cheapest neighbour, of equal ones the first, and what they cost."""
    cheapest = np.full(count, np.inf)
    for side in (0, 1):
        np.minimum.at(cheapest, edges[:, side], costs)
    if np.isinf(cheapest).any():
        raise ValueError("pairs: not all rows hang together by these")
    nearest = np.full(count, count)
    for side in (0, 1):
        best = costs == cheapest[edges[:, side]]
        np.minimum.at(nearest, edges[best, side], edges[best, 1 - side])
    first = np.flatnonzero((nearest[nearest] == np.arange(count)) & (np.arange(count) < nearest))
    return first, nearest[first], cheapest[first]


@dataclass(frozen=True)
class Cut:
    """How many groups, and why.

    Attributes
    ----------
    k : int
    gap : float
        How many times as high the first joining of two groups is as the last one within a group.
    clear : bool
        Whether the gap alone says so.
    reason : str
    """

    k: int
    gap: float
    clear: bool
    reason: str


def choose_cut(tree: Tree, values: Floats, rows: NDArray[np.integer]) -> Cut:
    """
    Where joinings of pieces of one group end, and joinings of groups begin.

    At the widest gap between the heights of two joinings that follow each other, if it is wide. Else, as where crystals
    are bent, where the joinings of groups that part at a sharp border end, across which the scan changes at once by as
    much as their means differ: a piece of a group blends into the next one.

    Parameters
    ----------
    tree : Tree
    values : ndarray, shape (y, x, p)
        What was compared, at every position.
    rows : ndarray of int, shape (y, x)
        Its row in the tree; negative where there is none.

    Returns
    -------
    Cut
        One group where there is neither a gap nor a border.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = rng.normal(size=(1, 100, 2)) + 20 * (np.arange(100) // 30)[None, :, None]
    >>> rows = np.arange(100)[None]
    >>> choose_cut(ward(values[0], touching_pairs(rows)), values, rows).k
    4
    """
    heights = np.append(tree.heights[::-1], 0)[: _MOST + 1]
    least = max(float(heights[0]) * 1e-9, 1e-300)
    gaps = np.log(np.maximum(heights[:-1], least) / np.maximum(heights[1:], least))
    gaps = gaps[: max(min(len(gaps), tree.n - 2), 1)]
    widest = int(gaps.argmax())
    if gaps[widest] >= math.log(_CLEAR):
        # Of several about as wide the one that leaves most groups.
        wide = int(np.flatnonzero(gaps >= _ABOUT * gaps[widest])[-1])
        times = float(np.exp(gaps[wide]))
        text = f"groups differ {_times(times)} as much as pieces of one group"
        text += ", a clear gap" if times >= _CLEAR else ""
        if wide != widest:
            text += f"; {widest + 2} are about as likely, {_times(float(np.exp(gaps[widest])))}"
        return Cut(wide + 2, times, True, text)
    sharp = _steps(tree, values, rows, min(len(gaps) + 1, len(tree.children))) >= _SHARP
    ends = sharp[: len(gaps)] & ~np.append(sharp[1:], False)[: len(gaps)]
    # Deep in a tree are joinings within noise, where some seem sharp by chance.
    ends = np.flatnonzero(ends & (np.cumsum(sharp)[: len(gaps)] >= _MOSTLY * np.arange(1, len(gaps) + 1)))
    if not len(ends):
        return Cut(1, 1.0, False, "nowhere does the scan change at once by as much as its parts differ: one group")
    best = int(ends[gaps[ends].argmax()])
    times = float(np.exp(gaps[best]))
    text = (
        f"no gap between joinings is wide, groups differ {_times(times)} as much as pieces of one group: taken where "
        "borders cease to be sharp; the number is not to be relied on"
    )
    return Cut(best + 2, times, False, text)


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 1000 else "more than 1000 times"


def _steps(tree: Tree, values: Floats, rows: NDArray[np.integer], count: int) -> Floats:
    """By how much the scan changes across the border of what the last joinings join, the last one first.

    From two positions before the border to two after it, in units of the difference of the means; NaN where the border
    has no such place.
    """
    n = tree.n
    last, of_row = tree.children[n - 1 - count :], tree.labels(count + 1)
    names = np.zeros(count + 1, dtype=np.intp)
    names[of_row] = _roots(tree, n - 1 - count)[:n]
    leaf = np.where(rows < 0, count + 1, of_row[rows])
    inside = leaf <= count
    sums = np.stack([np.bincount(leaf[inside], column, count + 1) for column in values[inside].T], axis=1)
    sizes = dict(zip(names.tolist(), np.bincount(leaf[inside], minlength=count + 1).tolist(), strict=True))
    means = {name: total / sizes[name] for name, total in zip(names.tolist(), sums, strict=True)}
    node = np.append(names, -1)  # of the leaves, and of positions without one
    steps = np.full(count, np.nan)
    for i, (a, b) in enumerate(last.tolist()):
        apart = means[b] - means[a]
        side = np.where(node == a, -1, np.where(node == b, 1, 0))[leaf]
        change = _changes(values, side, apart)
        if change.size and apart.any():
            steps[i] = float(change.mean()) / float(np.square(apart).sum())
        joined, both = 2 * n - 1 - count + i, sizes[a] + sizes[b]
        means[joined] = (sizes[a] * means[a] + sizes[b] * means[b]) / both
        sizes[joined] = both
        node[(node == a) | (node == b)] = joined
    return steps[::-1]


def _changes(values: Floats, side: NDArray[np.intp], apart: Floats) -> Floats:
    """From two positions on side -1 to two on side 1, along y and x: the change in a direction."""
    found = []
    for axis in (0, 1):
        along, of = np.moveaxis(values, axis, 0), np.moveaxis(side, axis, 0)
        first, before, after, last = (of[i : max(len(of) - 3, 0) + i] for i in range(4))
        at = (before * after == -1) & (first == before) & (last == after)
        difference = along[3:][at] - along[:-3][at]
        found.append(after[at] * np.einsum("ij,j->i", difference, apart))
    return np.concatenate(found)
