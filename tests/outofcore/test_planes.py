"""Planes of a volume are the same wherever it is stored, and each is read once in a pass."""

import h5py
import numpy as np
import pytest

from emcore.outofcore.checkpoint import Job
from emcore.outofcore.planes import Planes

VOLUME = np.random.default_rng(0).integers(0, 250, (23, 9, 11)).astype(np.uint16)


class Counted:
    """An array in chunks that counts how often each plane is read."""

    def __init__(self, data, chunks):
        self.data, self.chunks = data, chunks
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim
        self.read = np.zeros(len(data), dtype=int)

    def __getitem__(self, where):
        self.read[where[0] if isinstance(where, tuple) else where] += 1
        return self.data[where]


def stored(kind, tmp_path):
    if kind == "memory":
        return VOLUME
    if kind == "view":
        return np.repeat(VOLUME, 2, axis=2)[:, :, ::2]
    if kind == "map":
        np.save(tmp_path / "a.npy", VOLUME)
        return np.load(tmp_path / "a.npy", mmap_mode="r")
    if kind == "other order":
        return VOLUME.astype(">u2")
    if kind in ("hdf5", "packed"):
        packed = {"compression": "gzip"} if kind == "packed" else {}
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("a", data=VOLUME, chunks=(5, 4, 6), **packed)
        return h5py.File(tmp_path / "a.h5")["a"]
    if kind == "zarr":
        zarr = pytest.importorskip("zarr")
        array = zarr.open_array(tmp_path / "a.zarr", mode="w", shape=VOLUME.shape, chunks=(6, 4, 6), dtype="u2")
        array[...] = VOLUME
        return array
    return pytest.importorskip("dask.array").from_array(VOLUME, chunks=(7, 5, 6))


KINDS = ["memory", "view", "map", "other order", "hdf5", "packed", "zarr", "dask"]


@pytest.mark.parametrize("kind", KINDS)
def test_planes_are_the_same_wherever_they_are_stored(kind, tmp_path):
    planes = Planes(stored(kind, tmp_path))
    assert planes.shape == VOLUME.shape
    assert planes.dtype == np.uint16
    np.testing.assert_array_equal(np.concatenate(list(planes.blocks())), VOLUME)
    for start in (0, 4, 8, 12, 0, 15):
        block = planes.read(start, start + 8)
        assert block.flags.c_contiguous
        np.testing.assert_array_equal(block, VOLUME[start : start + 8])


@pytest.mark.parametrize("depth", [1, 4, 50])
def test_no_plane_is_read_twice_in_a_pass_of_overlapping_slabs(depth):
    counted = Counted(VOLUME, (depth, 9, 11))
    planes = Planes(counted)
    with planes.one_pass(None):
        for start in range(0, 16, 3):
            np.testing.assert_array_equal(planes.read(start, start + 8), VOLUME[start : start + 8])
    assert counted.read.max() == 1


@pytest.mark.parametrize("kind", ["memory", "packed", "dask"])
def test_a_job_goes_on_with_the_same_data_and_refuses_others(kind, tmp_path):
    path = tmp_path / "job.npz"

    def run(data):
        planes = Planes(data)
        job = Job(path, planes.source(), {"method": "any"})

        def compute():
            with planes.one_pass(job):
                return (int(planes.read(0, 8).sum()),)

        return job.step("sum", compute), job, planes

    data = stored(kind, tmp_path)
    (total,), *_ = run(data)
    assert total == VOLUME[:8].sum()
    (again,), job, planes = run(data)
    assert again == total
    with planes.one_pass(job):  # what it reads next is compared as a whole
        planes.read(0, 8)
    changed = VOLUME.copy()
    changed[21, 4, 5] += 1  # of which no sample is taken
    if kind != "dask":
        with pytest.raises(ValueError, match="values have changed"):
            run(changed)
        return
    # A hash of chunks is no hash of planes.
    _, job, planes = run(pytest.importorskip("dask.array").from_array(changed, chunks=(7, 5, 6)))
    with pytest.raises(ValueError, match="values have changed"), planes.one_pass(job):
        planes.read(0, 8)


def test_a_file_that_became_too_short_is_named(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, VOLUME)
    planes = Planes(np.load(path, mmap_mode="r"))
    with open(path, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(ValueError, match="ends early"), planes.one_pass(None):
        planes.read(0, 2)
