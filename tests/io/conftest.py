"""What the tests of readers share: a small spectrum image, and reading in all ways at once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

import emcore
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


@pytest.fixture
def damaged_is_named(tmp_path: Path) -> Callable[[st.DataObject, dict[str, bytes]], None]:
    """Cuts one of several whole files, changes bytes in it, and checks that it is read or that the error names it."""

    def check(data: st.DataObject, whole: dict[str, bytes]) -> None:
        ending = data.draw(st.sampled_from(sorted(whole)))
        raw = bytearray(whole[ending])
        for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=3)):
            raw[place] ^= data.draw(st.integers(1, 255))
        path = tmp_path / f"damaged{ending}"
        path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
        try:
            emcore.read(path)
        except (ValueError, OSError, ImportError, MemoryError) as error:
            said = str(error)
        else:
            said = str(path)
        assert str(path) in said

    return check
