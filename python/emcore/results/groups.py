"""Which two groups of positions are meant, by what a user gives: labels, masks, a result, or a file of one of these."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import as_pixels
from emcore.io.read import as_signal
from emcore.results.result import Result, result_or_signal

REST = "the rest"
# So many labels are listed in a message.
_LISTED = 8


@dataclass(frozen=True, eq=False)
class TwoGroups:
    """Two groups of positions.

    Attributes
    ----------
    labels : ndarray, shape (y, x), int32
        0 and 1; -1 of positions in neither.
    names : (str, str)
    clustered : bool
        Whether a clustering of the data themselves found them, by whatever is in its result.
    """

    labels: NDArray[np.int32]
    names: tuple[str, str]
    clustered: bool = False


def as_two_groups(groups: Any, scan: tuple[int, int], pair: Any = None) -> TwoGroups:
    """Two groups of the positions of a scan.

    Parameters
    ----------
    groups : array-like, Signal, result, path, or two masks
        Labels, whole numbers of which negative ones are no group, of shape (y, x) or in one line; a mask, True for the
        first group and False for the second; two masks, one of each group; a result with labels; a file of labels or a
        result.
    scan : (int, int)
        Positions along y and x.
    pair : int or str, or two of these, optional
        Of more than two labels which two, by number or name; one: that against the rest.

    Returns
    -------
    TwoGroups

    Raises
    ------
    ValueError
        Another number of positions, masks that overlap or are empty, labels of one group, more than two without a pair,
        a pair that is not among them.
    TypeError
        Labels that are no whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.results.groups import as_two_groups
    >>> as_two_groups([[0, 0, 1], [2, 2, -1]], (2, 3), pair=(2, 0)).labels.tolist()
    [[1, 1, -1], [0, 0, -1]]
    >>> as_two_groups([[0, 0, 1], [2, 2, -1]], (2, 3), pair=1).labels.tolist()
    [[1, 1, 0], [1, 1, -1]]
    """
    masks = _masks(groups, scan)
    if masks is not None:
        if pair is not None:
            raise ValueError(f"pair={pair!r} chooses among labels, and groups holds two masks: leave it out")
        return TwoGroups(np.where(masks[0], 0, np.where(masks[1], 1, -1)).astype(np.int32), ("first", "second"))
    if isinstance(groups, str | os.PathLike):
        groups = result_or_signal(groups)
    clustered = isinstance(groups, Result)
    names: Sequence[str] = ()
    if clustered:
        labels = getattr(groups, "labels", None)
        if labels is None:
            raise ValueError(f"groups: a result of {type(groups).__name__} has no labels of positions")
        names = getattr(groups, "names", ()) or [f"cluster {i + 1}" for i in range(int(labels.max()) + 1)]
    else:
        labels = as_signal(groups if hasattr(groups, "shape") or hasattr(groups, "axes") else np.asarray(groups)).data
    labels = np.asarray(labels)
    if labels.dtype == bool:
        labels, names = np.where(labels, 0, 1), ("inside", "outside")
    found = _whole(labels, scan)
    values = np.unique(found[found >= 0])
    said = {int(value): names[value] if value < len(names) else f"label {value}" for value in values}
    if len(said) < 2:
        raise ValueError(f"groups has {len(said)} group of positions; two are needed, beside -1 for none")
    first, second = _chosen(pair, said, found)
    own = found == first
    other = (found >= 0) & ~own if second is None else found == second
    return TwoGroups(
        np.where(own, 0, np.where(other, 1, -1)).astype(np.int32),
        (said[first], REST if second is None else said[second]),
        clustered,
    )


def _masks(groups: Any, scan: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Two masks, if these are what was given."""
    if not isinstance(groups, tuple | list) or len(groups) != 2:
        return None
    first, second = (np.asarray(each) for each in groups)
    if first.dtype != bool or second.dtype != bool or (first.ndim != 2 and first.shape != (scan[0] * scan[1],)):
        return None
    for mask in (first, second):
        if mask.size != scan[0] * scan[1] or (mask.ndim == 2 and mask.shape != scan):
            raise ValueError(f"groups has a mask of shape {mask.shape}; the scan has {scan} positions")
        if not mask.any():
            raise ValueError("groups has an empty mask: each needs positions")
    first, second = first.reshape(scan), second.reshape(scan)
    if both := int((first & second).sum()):
        raise ValueError(f"the masks of groups have {both} positions in common: each position is in one group or none")
    return first, second


def _whole(labels: NDArray[Any], scan: tuple[int, int]) -> NDArray[np.int64]:
    """Labels as whole numbers in the shape of the scan."""
    pixels = as_pixels(labels, "groups", tuple(range(1, 6)))
    single = tuple(size for size in pixels.shape if size > 1)
    if pixels.size != scan[0] * scan[1] or (len(single) > 1 and pixels.shape != scan and single != scan):
        raise ValueError(f"groups has shape {labels.shape}; the scan has {scan} positions")
    if pixels.dtype.kind == "f" and not (np.isfinite(pixels).all() and (pixels == np.rint(pixels)).all()):
        raise TypeError("groups has labels that are no whole numbers; give one for each position, -1 for none")
    return pixels.reshape(scan).astype(np.int64)


def _chosen(pair: Any, said: dict[int, str], labels: NDArray[np.int64]) -> tuple[int, int | None]:
    """The two labels that are meant; None for the rest."""
    if pair is None:
        if len(said) == 2:
            first, second = said
            return first, second
        raise ValueError(
            f"groups has {len(said)} groups, {_listed(said, labels)}: pair= says which two, or one against the rest"
        )
    wanted = list(pair) if isinstance(pair, tuple | list | np.ndarray) else [pair]
    if not 1 <= len(wanted) <= 2:
        raise ValueError(f"pair={pair!r}: give two labels, or one that is compared with the rest")
    numbers: list[int] = []
    for each in wanted:
        by_name = [number for number, name in said.items() if name == each]
        whole = isinstance(each, int | np.integer) and not isinstance(each, bool)
        number = by_name[0] if by_name else int(each) if whole else -1
        if number not in said:
            raise ValueError(f"pair={pair!r}: {each!r} is not among the groups, {_listed(said, labels)}")
        numbers.append(number)
    if len(numbers) == 2 and numbers[0] == numbers[1]:
        raise ValueError(f"pair={pair!r} names one group twice: give two")
    return numbers[0], numbers[1] if len(numbers) == 2 else None


def _listed(said: dict[int, str], labels: NDArray[np.int64]) -> str:
    """The labels there are, with their names and positions."""
    texts = [
        f"{number}{'' if name == f'label {number}' else f' ({name})'}: {int((labels == number).sum())} positions"
        for number, name in list(said.items())[:_LISTED]
    ]
    return ", ".join(texts) + (f" and {len(said) - _LISTED} more" if len(said) > _LISTED else "")
