"""Power spectra of images that are not in memory are those of the same image in memory."""

import dask
import dask.array as da
import numpy as np
import pytest

from emcore import NMF, PCA, windowed_power_spectra
from emcore.datasets import lattice_micrograph
from emcore.methods.power_spectra.windows import spectra_and_offset


@pytest.fixture(scope="module")
def image():
    return lattice_micrograph((300, 260), dtype="uint8").image


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
@pytest.mark.parametrize(
    "options",
    [
        {"scale": "power"},
        {"scale": "amplitude"},
        {},
        {"reduce": "radial"},
        {"reduce": ("crop", 5)},
        {"reduce": ("bin", 4), "scale": "power"},
        {"preset": "jany"},
    ],
)
def test_a_dask_image_has_the_spectra_of_the_image(options, scheduler, image, monkeypatch):
    expected, offset = spectra_and_offset(image, 64, **options)
    monkeypatch.setattr("emcore.methods.power_spectra.on_dask.BYTES", 3 * expected[0].nbytes)
    with dask.config.set(scheduler=scheduler):
        observed, c = spectra_and_offset(da.from_array(image, chunks=(70, 90)), 64, **options)
        assert isinstance(observed, da.Array)
        assert len(observed.chunks[0]) > 2
        assert observed.shape == expected.shape
        values = observed.compute()
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, rtol=2e-5, atol=2e-5 * np.abs(expected).max())
    assert c == pytest.approx(offset, rel=1e-5)


def test_a_mapped_image_has_the_same_bits(image, tmp_path):
    np.save(tmp_path / "x.npy", image)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(windowed_power_spectra(mapped, 64), windowed_power_spectra(image, 64))


def test_estimators_take_lazy_spectra(image, monkeypatch):
    expected = windowed_power_spectra(image, 64).reshape(-1, 64 * 33)
    monkeypatch.setattr("emcore.methods.power_spectra.on_dask.BYTES", 2 * expected[:13].nbytes)
    lazy = windowed_power_spectra(da.from_array(image, chunks=(100, 260)), 64)
    rows = lazy.reshape((*lazy.shape[:2], -1))
    for model in (PCA(3, center=False), NMF(3, max_iter=5, tol=0)):
        observed, known = model.fit(rows).components_.copy(), model.fit(expected).components_
        assert np.abs(observed - known).max() < 1e-4 * known.max()


@pytest.mark.parametrize("value", [0, 77])
def test_a_constant_dask_image_has_spectra_of_zeros(value):
    observed = windowed_power_spectra(da.full((80, 80), value, dtype="u1"), 32)
    assert not observed.compute().any()


def test_bad_dask_images_are_named(image):
    with pytest.raises(ValueError, match="NaN or infinity"):
        windowed_power_spectra(da.from_array(np.where(image == image[5, 5], np.nan, image)), 64)
    with pytest.raises(ValueError, match="a 2-D array is needed"):
        windowed_power_spectra(da.ones((70, 70, 3)), 64)
    with pytest.raises(TypeError, match="complex128"):
        windowed_power_spectra(da.from_array(image * 1j), 64)
    with pytest.raises(ValueError, match="window=400 is larger than the image"):
        windowed_power_spectra(da.from_array(image), 400)
    with pytest.raises(ValueError, match="empty"):
        windowed_power_spectra(da.ones((0, 7)), 8)
