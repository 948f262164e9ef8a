"""Textures of a volume: found, labelled, the same wherever the volume is, and refused with a reason."""

from dataclasses import replace

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, far_from_borders, quasi_ordered_volume

WINDOW, STEP = 16, 4


@pytest.fixture(scope="module")
def sample():
    return quasi_ordered_volume((32, 36, 64), ("primitive", "tubules"), 2, spacing=4.5, layout="blocks", seed=3)


@pytest.fixture(scope="module")
def result(sample):
    return emcore.analyze_volume(sample.volume, WINDOW, STEP)


def test_textures_and_orientations_are_found_without_being_told_how_many():
    sample = quasi_ordered_volume((48, 80, 96), ("gyroid", "diamond", "tubules"), 5, spacing=5, seed=2)
    result = emcore.analyze_volume(sample.volume, 24, 8)
    assert (result.n_textures, result.n_classes) == (3, 5)
    far = far_from_borders(sample.grains, 8)
    assert adjusted_rand_index(sample.textures[far], result.textures[far]) > 0.99
    assert adjusted_rand_index(sample.grains[far], result.oriented[far]) > 0.99
    assert adjusted_rand_index(sample.grains, result.oriented) > 0.85
    true = [np.bincount(sample.grains[far & (result.oriented == k)]).argmax() for k in range(5)]
    textures = sample.texture_of_grain[true]
    same = textures[:, None] == textures
    np.testing.assert_array_equal(result.texture_of[:, None] == result.texture_of, same)
    assert result.pairs.tolist() == np.argwhere(np.triu(same, 1)).tolist()
    for (a, b), angle in zip(result.pairs, result.pair_angle, strict=True):
        assert angle == pytest.approx(sample.angle(true[a], true[b]), abs=8)
    np.testing.assert_allclose(result.spacing[:, 0], 5, rtol=0.08)


def test_the_table_and_shares_count_the_voxels(sample, result):
    assert result.textures.shape == result.oriented.shape == sample.volume.shape
    for t in range(result.n_textures):
        for k in range(result.n_classes):
            assert result.table[t, k] == np.sum((result.textures == t) & (result.oriented == k))
    assert result.share.sum() == pytest.approx(1)
    np.testing.assert_allclose(result.texture_share, result.table.sum(axis=1) / result.table.sum())
    assert adjusted_rand_index(sample.grains, result.oriented) > 0.85
    middle = result.oriented[16], result.oriented[:, 18], result.oriented[:, :, 32]
    for cut, plane in zip(result.oriented_cuts, middle, strict=True):
        np.testing.assert_array_equal(cut.data, plane)


def test_mean_spectra_are_those_of_numpy(sample):
    """Of one window, which is all of the volume; of its periodic part."""
    cube = sample.volume[:16, :16, :16].astype(float)
    result = emcore.analyze_volume(cube, 16, 16)
    jumps = np.zeros_like(cube)
    for axis in range(3):
        first, last = (np.take(cube, i, axis) for i in (0, -1))
        view = np.moveaxis(jumps, axis, 0)
        view[0] += last - first
        view[-1] -= last - first
    waves = 2 * np.cos(2 * np.pi * np.arange(16) / 16)
    bottom = waves[:, None, None] + waves[:, None] + waves - 6
    bottom[0, 0, 0] = 1
    smooth = np.fft.fftn(jumps) / bottom
    smooth[0, 0, 0] = 0
    power = np.abs(np.fft.fftn(cube) - smooth) ** 2
    power[0, 0, 0] = 0
    expected = np.fft.fftshift(power)
    np.testing.assert_allclose(result.spectra[0], expected, atol=1e-5 * expected.max())
    assert result.oriented.max() == result.oriented.min() == 0


@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask", "slices", "checkpoint", "threads"])
def test_the_same_bits_wherever_the_volume_is(sample, result, same, kind, tmp_path):
    volume, settings = sample.volume, {}
    if kind == "map":
        np.save(tmp_path / "a.npy", volume)
        volume = tmp_path / "a.npy"
    elif kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("a", data=volume, chunks=(10, 16, 16), compression="gzip")
        volume, settings = tmp_path / "a.h5", {"memory": "100 MB"}
    elif kind == "zarr":
        array = pytest.importorskip("zarr").open_array(
            tmp_path / "a.zarr", mode="w", shape=volume.shape, chunks=(9, 16, 16), dtype=volume.dtype
        )
        array[...] = volume
        volume = tmp_path / "a.zarr"
    elif kind == "dask":
        volume = pytest.importorskip("dask.array").from_array(volume, chunks=(7, 20, 64))
    elif kind == "slices":
        tifffile = pytest.importorskip("tifffile")
        (tmp_path / "slices").mkdir()
        for i, plane in enumerate(volume):
            tifffile.imwrite(tmp_path / "slices" / f"{i}.tif", plane)
        volume = tmp_path / "slices"
    elif kind == "checkpoint":
        settings = {"checkpoint": tmp_path / "job.npz"}
    with emcore.num_threads(3 if kind == "threads" else 2):
        other = emcore.analyze_volume(volume, WINDOW, STEP, **settings)
    assert same(other, result)
    if kind == "checkpoint":
        assert same(emcore.analyze_volume(volume, WINDOW, STEP, **settings), result)
        changed = volume.copy()
        changed[0, 2, 3] += 1
        with pytest.raises(ValueError, match="a sample of the data was"):
            emcore.analyze_volume(changed, WINDOW, STEP, **settings)


def test_slabs_of_any_thickness_give_the_same_bits(sample, result, same, monkeypatch):
    monkeypatch.setattr("emcore.methods.volume.windows._SLAB_BYTES", 1)
    assert same(emcore.analyze_volume(sample.volume, WINDOW, STEP), result)


@pytest.mark.parametrize("dtype", ["u2", "i2", "i4", "f4", "f8"])
def test_other_types_and_units_of_values_give_the_same_labels(sample, result, dtype):
    volume = sample.volume.astype(dtype)
    if dtype == "f8":
        volume = 1e-9 * volume + 1e-7
    other = emcore.analyze_volume(volume, WINDOW, STEP)
    assert np.mean(other.oriented == result.oriented) > 0.999
    assert other.phase_share == pytest.approx(result.phase_share, abs=0.01)


def test_labels_larger_than_memory_are_in_a_store(sample, result, same, tmp_path):
    pytest.importorskip("zarr")
    with pytest.raises(ValueError, match=r"the labels of 32 x 36 x 64 voxels take 144 KiB.*labels="):
        emcore.analyze_volume(sample.volume, WINDOW, STEP, memory="200 KB")
    store = tmp_path / "labels.ome.zarr"
    stored = emcore.analyze_volume(sample.volume, WINDOW, STEP, labels=store)
    assert stored.textures is None
    assert same(stored, result, ("provenance", "textures", "oriented", "labels_path"))
    for name in ("textures", "oriented"):
        np.testing.assert_array_equal(emcore.read(store, dataset=f"labels/{name}").data, getattr(result, name) + 1)
    with pytest.raises(FileExistsError):
        emcore.analyze_volume(sample.volume, WINDOW, STEP, labels=store)
    with pytest.raises(ValueError, match=r"in the OME-Zarr store .*labels\.ome\.zarr already"):
        stored.to_ome_zarr(tmp_path / "b.ome.zarr")
    result.to_ome_zarr(tmp_path / "b.ome.zarr")
    np.testing.assert_array_equal(
        emcore.read(tmp_path / "b.ome.zarr", dataset="labels/oriented").data, result.oriented + 1
    )


def test_windows_without_the_phase_take_no_part_and_are_counted(sample):
    volume = sample.volume.copy()
    volume[:, :, 44:] = 20
    result = emcore.analyze_volume(volume, WINDOW, STEP)
    assert result.n_empty > 0
    assert (result.oriented[:, :, 56:] == -1).all()
    assert (result.textures[:, :, 56:] == -1).all()
    assert (result.oriented[:, :, :36] >= 0).all()
    assert any("hold too little of the phase" in note for note in result.provenance.notes)
    assert not result.parts[..., -1, :].any()


def test_the_dark_side_of_a_threshold_may_be_the_phase(sample):
    volume = (sample.volume > 128).astype(np.uint8)
    bright, dark = (emcore.analyze_volume(volume, WINDOW, 8, phase=side) for side in ("bright", "dark"))
    assert bright.threshold == dark.threshold == 0.5
    assert bright.phase_share + dark.phase_share == pytest.approx(1)
    np.testing.assert_allclose(bright.phase_fraction + dark.phase_fraction, 1, atol=1e-6)
    whole = emcore.analyze_volume(volume, WINDOW, 8, threshold=0)
    assert whole.phase_share == 1
    assert (whole.phase_fraction == 1).all()


def test_calibration_goes_from_the_volume_to_everything(sample, result):
    axes = tuple(Axis(name, size, 2.0, 10.0, "nm") for name, size in zip("zyx", sample.volume.shape, strict=True))
    other = emcore.analyze_volume(Signal(sample.volume, axes), WINDOW, STEP)
    np.testing.assert_allclose(other.spacing, 2 * result.spacing)
    np.testing.assert_allclose(other.frequency, result.frequency / 2)
    np.testing.assert_allclose(other.z, 10 + 2 * result.z)
    assert other.cut_z.axes[0].units == other.overview.axes[0].units == "nm"


@pytest.mark.parametrize("method", ["mixture", "kmeans"])
def test_a_number_of_classes_may_be_asked_for(sample, method):
    result = emcore.analyze_volume(sample.volume, WINDOW, STEP, method=method, n_clusters=2)
    assert result.n_classes == 2
    assert adjusted_rand_index(sample.grains, result.oriented) > 0.7


def test_what_cannot_be_analysed_is_refused_with_what_to_do(sample):
    volume = sample.volume
    with pytest.raises(
        ValueError, match=r"32 x 36 x 64 voxels, smaller than window=50; the largest possible is window=32"
    ):
        emcore.analyze_volume(volume)
    with pytest.raises(ValueError, match="every side must be at least 8"):
        emcore.analyze_volume(volume[:5], 16)
    with pytest.raises(ValueError, match="constant, every voxel is 3"):
        emcore.analyze_volume(np.full((16, 16, 16), 3), 16)
    with pytest.raises(ValueError, match="no voxel is at or above it"):
        emcore.analyze_volume(volume, 16, threshold=300)
    with pytest.raises(ValueError, match="no window holds 1 of the phase"):
        emcore.analyze_volume(volume, 16, 8, least=1)
    with pytest.raises(ValueError, match="'hdbscan' finds the number"):
        emcore.analyze_volume(volume, 16, n_clusters=3)
    with pytest.raises(ValueError, match="did you mean 'kmeans'"):
        emcore.analyze_volume(volume, 16, method="kmean")
    with pytest.raises(ValueError, match="a volume has three axes"):
        emcore.analyze_volume(volume[0], 16)
    with pytest.raises(TypeError, match="complex"):
        emcore.analyze_volume(volume.astype(complex), 16)
    with pytest.raises(ValueError, match=r"memory=1 MiB is too little for .* windows"):
        emcore.analyze_volume(volume, 16, 1, memory=1 << 20)
    with pytest.raises(ValueError, match="give them in a unit in which they are near 1"):
        emcore.analyze_volume(volume * 1e20, 16)
    steps = np.zeros((16, 16, 48))
    steps[:, :, 16:32] = 1
    steps[:, :, 32:] = 2
    with pytest.raises(ValueError, match="no window has any structure"):
        emcore.analyze_volume(steps, 16, 16, threshold=1)
    broken = volume.astype(np.float32)
    broken[3, 4, 5] = np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity, first at \[3, 4, 5\]"):
        emcore.analyze_volume(broken, 16)


def test_voxels_that_are_no_cubes_are_said(sample):
    axes = [Axis(name, size, 2.0, units="nm") for name, size in zip("zyx", sample.volume.shape, strict=True)]
    axes[0] = replace(axes[0], scale=3.0)
    result = emcore.analyze_volume(Signal(sample.volume, tuple(axes)), WINDOW, 8)
    assert any("voxels are no cubes" in note for note in result.provenance.notes)


def test_progress_counts_windows(sample):
    calls = []
    with emcore.progress(lambda done, total: calls.append((done, total))):
        emcore.analyze_volume(sample.volume, WINDOW, 2)
    assert all(0 <= done <= total == 9 * 11 * 25 for done, total in calls)


def test_a_result_is_saved_and_read_back(result, tmp_path):
    pytest.importorskip("h5py")
    path = result.save(tmp_path / "a.h5")
    assert emcore.load_result(path) == result


def test_pages_show_every_cut_and_class(result, tmp_path):
    pytest.importorskip("matplotlib")
    titles = [axes.get_title("left") for axes in result.plot().axes]
    assert titles.count("Textures") == titles.count("Oriented classes") == 3
    assert sum(title.startswith("Class ") for title in titles) == result.n_classes
    assert result.report(tmp_path / "a.pdf").stat().st_size > 10_000
