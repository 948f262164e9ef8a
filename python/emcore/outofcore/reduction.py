"""What a pass adds up: partials merged in pairs, and arrays with an entry for each row."""

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from emcore.outofcore.blocks import Block
from emcore.outofcore.sources import Source

Partial = tuple[Any, ...]


TICK = 0.1
"""Seconds between two reports of progress."""


class PerRow:
    """An array with one entry, or a row of entries, for each row of a source, in the order of its rows."""

    def __init__(self, source: Source, array: NDArray[Any]) -> None:
        self.array = array
        grid = source.grid if source.chosen is None else array.shape[:1]
        self._grid = array.reshape((*grid, *array.shape[1:]))

    def get(self, block: Block) -> NDArray[Any]:
        """Of the rows of a block; of a slab a view."""
        if block.places is not None:
            return self.array[block.places]
        return self._grid[block.where].reshape(block.rows, *self.array.shape[1:])

    def put(self, block: Block, values: NDArray[Any]) -> None:
        if block.places is not None:
            self.array[block.places] = values.reshape(block.rows, *self.array.shape[1:])
            return
        part = self._grid[block.where]
        part[...] = values.reshape(part.shape)


def add(a: Partial, b: Partial) -> Partial:
    """
    The sums of two blocks.

    Examples
    --------
    >>> add((1.0, 2), (0.5, 3))
    (1.5, 5)
    """
    return tuple(x + y for x, y in zip(a, b, strict=True))


class Tree:
    """
    Merges partials in pairs: neighbours first, then neighbouring pairs, and so on, as they come.

    Attributes
    ----------
    waiting : list of (int, partial)
        What is not merged yet, of how many pairings each: given to another tree, that goes on from there.

    Examples
    --------
    >>> tree = Tree(lambda a, b: f"({a}{b})")
    >>> for letter in "abcde":
    ...     tree.add(letter)
    >>> tree.result()
    '(((ab)(cd))e)'
    """

    def __init__(self, merge: Callable[[Any, Any], Any], waiting: Sequence[tuple[int, Any]] = ()) -> None:
        self._merge, self.waiting = merge, list(waiting)

    def add(self, partial: Any) -> None:
        """The next one."""
        level = 0
        while self.waiting and self.waiting[-1][0] == level:
            partial, level = self._merge(self.waiting.pop()[1], partial), level + 1
        self.waiting.append((level, partial))

    def result(self) -> Any:
        """All of them, of which there must be one."""
        _, total = self.waiting.pop()
        while self.waiting:
            total = self._merge(self.waiting.pop()[1], total)
        return total
