"""Bins are sums: of every position and channel in just one, wherever the data lie."""

import numpy as np
import pytest

from emcore.scans import spectrum_bins
from emcore.scans.spectrum_bins import in_bins
from emcore.scans.spectrum_images import select


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).poisson(0.7, (11, 14, 37)).astype(np.uint16)


def summed(data, bins):
    """What the places of bins say they are."""
    rows = np.add.reduceat(data.reshape(-1, data.shape[-1]), np.arange(0, data.shape[-1], bins.channels), axis=1)
    sums = np.zeros_like(bins.rows)
    np.add.at(sums, bins.places, rows)
    return sums


@pytest.mark.parametrize(("side", "channels"), [(1, 1), (2, 4), (3, 5), (4, 8)])
@pytest.mark.parametrize("read", [1, 3000, 1 << 23])
def test_bins_are_sums_over_their_positions_and_channels(data, side, channels, read, monkeypatch):
    monkeypatch.setattr(spectrum_bins, "_READ", read)
    for values in (data, data.reshape(-1, 37)):
        bins = in_bins(select(values), side, channels)
        np.testing.assert_array_equal(bins.rows, summed(values, bins))
        assert bins.sums.sum() == data.sum()
        coarse = bins.coarser(2, 2)
        assert (coarse.side, coarse.channels) == (2 * side, 2 * channels)
        np.testing.assert_array_equal(coarse.rows, summed(values, coarse))


def test_what_is_masked_is_in_no_bin(data):
    masked = np.random.default_rng(1).random((11, 14)) < 0.4
    bins = in_bins(select(data), 2, 4, masked=masked.ravel())
    np.testing.assert_array_equal(bins.rows, summed(np.where(masked[..., None], 0, data), bins))


def test_rows_of_a_block_are_binned_by_themselves(data):
    block = np.ascontiguousarray(data[2:9, 3:12])
    bins = in_bins(select(data), 2, 4, block.reshape(-1, 37), (7, 9))
    np.testing.assert_array_equal(bins.rows, summed(block, bins))


@pytest.mark.usefixtures("nothing_is_loaded")
def test_out_of_core_the_bins_are_the_same(data, tmp_path):
    h5py, da = pytest.importorskip("h5py"), pytest.importorskip("dask.array")
    expected = in_bins(select(data), 2, 4).rows
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        for stored in (file.create_dataset("scan", data=data, chunks=(3, 5, 37)), da.from_array(data, (4, 14, 37))):
            image = select(stored, memory="40 kB" if hasattr(stored, "id") else None)
            np.testing.assert_array_equal(in_bins(image, 2, 4).rows, expected)
