"""What the tests of readers share: a small spectrum image, and reading in all ways at once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emcore.core.signals import Signal
from emcore.io.formats.hdf5_zarr import read_hdf5


@pytest.fixture
def cube() -> np.ndarray:
    """A spectrum image of 3 x 4 positions."""
    return np.random.default_rng(0).poisson(3, (3, 4, 7)).astype("u2")


@pytest.fixture(scope="session")
def read_both() -> Callable[..., Signal]:
    """A data set of an HDF5 file, after checking that it is the same in memory, lazily, and left as it is stored."""

    def read(path: Path, title: str | None = None) -> Signal:
        observed = []
        for lazy, stored in ((False, False), (True, False), (True, True)):
            signals = read_hdf5(path, lazy, stored)
            observed.append(signals[0] if title is None else next(each for each in signals if each.title == title))
        first = observed[0]
        for other in observed[1:]:
            assert other.axes == first.axes
            assert (other.title, other.flagged) == (first.title, first.flagged)
            np.testing.assert_array_equal(np.asarray(other.data[...]), first.data)
            assert other.data.dtype == first.data.dtype
        return first

    return read
