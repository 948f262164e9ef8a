"""Arrays, numbers and words of sizes that belong together, but now and then others."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from values import ODD, seen_as

from emcore import _emcore

PIXELS = ("u1", "u2", "u4", "i2", "i4", "f4", "f8")
OTHERS = (">u2", ">f4", ">f8", "f2", "i8", "u8", "?", "c16", "O", "U3")
VIEWS = ("", "", "", "", "flip", "step", "transpose", "fortran", "readonly", "unaligned", "broadcast", "list")
NUMBERS = (0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, float("nan"), float("inf"))

REFUSED = (ValueError, TypeError, OverflowError)
"""What bad arguments of a private function raise; OverflowError of integers that do not fit."""


@dataclass
class Sizes:
    """n rows of d features and k of what a method has some of, of which drawn arrays are, but now and then others."""

    numbers: Random
    n: int
    d: int
    k: int

    @classmethod
    def drawn(cls, numbers: Random) -> "Sizes":
        most = numbers.choice((6, 6, 6, 40, 300))
        return cls(
            numbers, numbers.randrange(1, most + 1), numbers.randrange(1, min(most, 70) + 1), numbers.randrange(1, 7)
        )

    def seldom(self) -> bool:
        """Whether this argument is to be unlike the others."""
        return self.numbers.randrange(24) == 0

    def side(self, side: int) -> int:
        return self.numbers.randrange(8) if self.seldom() else side

    def count(self, usual: int) -> Any:
        return self.numbers.choice((-1, 0, 1, usual + 1, 2**31, 2**63 - 1, 2**64, "3", 1.5)) if self.seldom() else usual

    def number(self, usual: float) -> Any:
        return self.numbers.choice((*NUMBERS, None, "x", 10**400)) if self.seldom() else usual

    def word(self, *words: str) -> Any:
        return self.numbers.choice(ODD) if self.seldom() else self.numbers.choice(words)

    def array(self, *sides: int, kinds: tuple[str, ...] = ("f8",), most: int = 3) -> Any:
        """Small counts, of floats with a fraction, seldom none, equal, extreme or not finite."""
        shape = tuple(self.side(side) for side in sides)
        kind = np.dtype(self.numbers.choice(OTHERS if self.seldom() else kinds))
        values = np.random.default_rng(self.numbers.randrange(1000)).poisson(most, shape).astype("f8")
        if kind.kind == "f":
            values = values + 0.25 * self.numbers.randrange(2)
            if self.seldom():
                values = np.full(shape, self.numbers.choice(NUMBERS))
            if self.seldom() and values.size:
                values.flat[self.numbers.randrange(values.size)] = self.numbers.choice(NUMBERS)
        with np.errstate(all="ignore"):
            made = values.astype(kind)
        view = self.numbers.choice(VIEWS) if self.numbers.randrange(6) == 0 else ""
        return seen_as(view, made.repeat(2, axis=0) if view == "step" and made.ndim else made)

    def matrix(self, *sides: int) -> Any:
        return self.array(*sides)

    def vector(self, side: int) -> Any:
        return self.array(side)

    def perhaps(self, make: Callable[[], Any]) -> Any:
        return make() if self.numbers.randrange(2) else None

    def labels(self, most: int | None = None) -> Any:
        labels = self.array(self.n, kinds=("i4",))
        if isinstance(labels, np.ndarray) and labels.dtype == "i4" and labels.flags.writeable and not self.seldom():
            return labels % max(self.k if most is None else most, 1) - (labels > 5)
        return labels

    def data(self) -> Any:
        """Rows of pixels of any type, or prepared ones, or sparse ones."""
        if self.numbers.randrange(5):
            return self.array(self.n, self.d, kinds=PIXELS)
        if self.numbers.randrange(2):
            d, starts, features, values = self.sparse()
            try:
                return _emcore.SparseRows(d, starts, features, values)
            except REFUSED:
                return values
        signals = [
            (
                self.array(self.n, self.d, kinds=PIXELS),
                [self.numbers.randrange(-1 if self.seldom() else 0, self.n) for _ in range(self.n)]
                if self.seldom()
                else None,
                self.preparation(),
            )
        ]
        try:
            return _emcore.PreparedRows(signals)
        except REFUSED:
            return signals[0][0]

    def sparse(self) -> tuple[Any, Any, Any, Any]:
        """The number of features, where rows start, features, and values of sparse rows."""
        random = np.random.default_rng(self.numbers.randrange(1000))
        holds = random.random((self.n, self.d)) < self.numbers.choice((0.0, 0.1, 1.0))
        features = np.nonzero(holds)[1].astype("u4")
        if self.seldom():
            random.shuffle(features)
        starts = np.concatenate([[0], holds.sum(axis=1).cumsum()])
        if self.seldom():
            starts = starts - random.integers(0, 2, len(starts))
        return self.count(self.d), starts, features, self.array(len(features), kinds=PIXELS)

    def preparation(self) -> SimpleNamespace:
        runs = [(0, self.side(self.d))] if self.seldom() else None
        return SimpleNamespace(
            features=runs,
            normalize=self.word("none", "none", "sum", "root-sum", "max", "l2", "log1p", "sqrt"),
            offset=self.perhaps(lambda: self.vector(self.d)),
            scale=self.perhaps(lambda: self.vector(self.d)),
        )

    def weights(self) -> Any:
        return self.perhaps(lambda: self.vector(self.d))

    def shape(self) -> tuple[int, int]:
        """Of a scan of n positions."""
        across = next(side for side in range(int(self.n**0.5), 0, -1) if self.n % side == 0)
        return self.side(self.n // across), self.side(across)

    def real(self, data: Any) -> tuple[str, ...]:
        """The type in which a kernel computes on data."""
        double = isinstance(data, np.ndarray | _emcore.SparseRows) and data.dtype in (np.float64, np.uint32, np.int32)
        return ("f8",) if double else ("f4",)
