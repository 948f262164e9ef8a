"""Which data set of a file is meant: the one that is asked for, else the largest that suits the question."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emcore.core.signals import Signal
from emcore.io.read import as_signal, find_dataset
from emcore.io.registry import read_all

Suits = Callable[[Signal], int]
"""How well a data set suits a question: 0 not at all, more is better."""


def measurement(
    obj: Any,
    suits: Suits,
    dataset: str | int | None = None,
    read: Callable[[Path], list[Signal]] = read_all,
) -> Signal:
    """The signal in whatever a user gives; of a file with several data sets one that suits, and it is said which.

    Parameters
    ----------
    obj : array-like, Signal, HyperSpy signal, dictionary of RosettaSciIO or path
    suits : callable
        How well a data set suits; of those that suit equally well the largest is taken.
    dataset : str or int, optional
        Name or number of a data set, as `emcore.describe` lists them.
    read : callable
        Reads all data sets of a path.

    Raises
    ------
    ValueError
        If there is no such data set, or `dataset` is given without a file.

    Examples
    --------
    >>> import numpy as np
    >>> measurement(np.zeros((2, 3)), lambda signal: 1).shape
    (2, 3)
    """
    if not isinstance(obj, str | os.PathLike):
        if dataset is not None:
            raise ValueError(f"dataset={dataset!r} names a data set of a file, but an array or a signal was given")
        if isinstance(obj, dict) and "data" in obj and "axes" in obj:
            from emcore.io.formats.rosetta import from_rosetta

            return from_rosetta(obj)
        return as_signal(obj)
    path = Path(obj)
    return chosen(str(path), read(path), suits, dataset)


def chosen(path: str, datasets: Sequence[Signal], suits: Suits, dataset: str | int | None = None) -> Signal:
    """One of the data sets of a file, with a note where there were others.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.core.signals import Axis
    >>> sets = [Signal(np.zeros(n), (Axis("x", n),), title=f"{n} points") for n in (3, 9)]
    >>> chosen("a.h5", sets, lambda signal: 1).notes
    ("data set 1, '9 points', was analysed; the file also holds 0 '3 points' (3,): dataset= picks another",)
    """
    if not datasets:
        raise ValueError(f"{path} holds no numbers")
    if dataset is not None:
        index = find_dataset(path, datasets, dataset)
    else:
        ranks = [(suits(each), math.prod(each.shape), -i) for i, each in enumerate(datasets)]
        index = max(range(len(datasets)), key=ranks.__getitem__)
    signal = datasets[index]
    others = [f"{i} {each.title!r} {each.shape}" for i, each in enumerate(datasets) if i != index]
    if not others:
        return signal
    more = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
    note = (
        f"data set {index}, {signal.title!r}, was analysed; the file also holds {', '.join(others[:_LISTED])}{more}: "
        "dataset= picks another"
    )
    return replace(signal, notes=(*signal.notes, note))


# As many other data sets are named.
_LISTED = 6
