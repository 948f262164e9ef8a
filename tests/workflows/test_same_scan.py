"""The same scan gives the same result, whatever file or signal it comes in, in memory or left in its file."""

import warnings

import numpy as np
import pytest

import emcore
from emcore.datasets import eds_phases, polycrystal_scan


@pytest.fixture(scope="module")
def hs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("hyperspy.api", reason="needs the extra hyperspy")


@pytest.fixture(scope="module")
def spectra():
    return eds_phases(shape=(10, 12), counts=400, seed=3).signal


@pytest.fixture(scope="module")
def patterns():
    return polycrystal_scan(scan_shape=(6, 8), pattern_shape=(32, 32), n_grains=3).patterns


def as_hyperspy(hs, data, axes):
    kind = hs.signals.Signal2D if data.ndim == 4 else hs.signals.Signal1D
    signal = kind(data)
    for axis, (name, scale, offset, units) in zip(signal.axes_manager._axes, axes, strict=True):
        axis.name, axis.scale, axis.offset, axis.units = name, scale, offset, units
    return signal


def written(form, signal, axes, folder):
    """The path of a file of that form that holds the signal of HyperSpy's."""
    data = signal.data
    path = folder / f"scan.{form.replace(' ', '.')}"
    if form in ("hspy", "emd"):
        signal.save(path)
    elif form == "zspy":
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(path, mode="w", zarr_format=2, attributes={"file_format": "ZSpy"})
        experiment = group.create_group("Experiments").create_group("scan")
        experiment.create_array("data", data=data)
        for i, (name, scale, offset, units) in enumerate(axes):
            known = {"name": name, "size": data.shape[i], "scale": scale, "offset": offset, "units": units}
            experiment.create_group(f"axis-{i}", attributes=known | {"navigate": i < 2, "_type": "UniformDataAxis"})
    elif form == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            stored = file.create_dataset("scan", data=data, chunks=True, compression="gzip")
            for i, (name, scale, offset, units) in enumerate(axes):
                where = file.create_dataset(f"along_{i}", data=offset + scale * np.arange(data.shape[i]))
                where.make_scale(name)
                where.attrs["units"] = units
                stored.dims[i].attach_scale(where)
                stored.dims[i].label = name
    else:
        np.save(path, data)
    return path


SPECTRUM_AXES = [("y", 2.0, 0.0, "nm"), ("x", 2.0, 0.0, "nm")]
PATTERN_AXES = [("y", 5.0, 0.0, "nm"), ("x", 5.0, 0.0, "nm"), ("ky", 0.1, -1.2, "1/nm"), ("kx", 0.1, -1.2, "1/nm")]
FORMS = ["hspy", "zspy", "h5", "emd", "npy"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", [*FORMS, "signal", "lazy signal", "lazily"])
def test_a_spectrum_image_is_unmixed_the_same(form, hs, spectra, tmp_path):
    step, start = spectra.axes[-1].scale, spectra.axes[-1].offset
    axes = [*SPECTRUM_AXES, ("Energy", step, start, spectra.axes[-1].units)]
    signal = as_hyperspy(hs, np.asarray(spectra.data), axes)
    expected = emcore.unmix(signal, 3)
    options = {}
    if form == "signal":
        given = as_hyperspy(hs, np.moveaxis(signal.data, 2, 0), [axes[2], *axes[:2]])
        given = given.transpose(signal_axes=["Energy"])
    elif form == "lazy signal":
        given = signal.as_lazy()
    elif form == "lazily":
        given = emcore.read(written("hspy", signal, axes, tmp_path), lazy=True)
    else:
        given = written(form, signal, axes, tmp_path)
    if form == "npy":
        first = signal.data.shape[2] - expected.mean.axes[0].size  # a strobe is told by energies only
        options["signal_range"] = (first, signal.data.shape[2])
    result = emcore.unmix(given, 3, **options)
    np.testing.assert_allclose(result.mean.data, expected.mean.data, rtol=1e-12)
    np.testing.assert_allclose(result.maps, expected.maps, rtol=2e-4, atol=2e-4 * expected.maps.max())
    if form != "npy":
        assert [axis.units for axis in result.image.axes] == ["nm", "nm"]
        np.testing.assert_allclose(result.mean.axes[0].values, expected.mean.axes[0].values, rtol=1e-9)
        np.testing.assert_allclose(result.image.axes[0].values, expected.image.axes[0].values)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", [*FORMS, "signal", "lazily"])
def test_a_scan_of_patterns_is_clustered_the_same(form, hs, patterns, tmp_path):
    signal = as_hyperspy(hs, np.asarray(patterns), PATTERN_AXES)
    expected = emcore.cluster_diffraction(signal, 3)
    if form == "signal":
        given = as_hyperspy(hs, np.moveaxis(signal.data, (2, 3), (0, 1)), [*PATTERN_AXES[2:], *PATTERN_AXES[:2]])
        given = given.transpose(signal_axes=["kx", "ky"])
    elif form == "lazily":
        given = emcore.read(written("h5", signal, PATTERN_AXES, tmp_path), lazy=True)
    else:
        given = written(form, signal, PATTERN_AXES, tmp_path)
    result = emcore.cluster_diffraction(given, 3)
    assert np.array_equal(result.labels, expected.labels)
    assert np.array_equal(result.signals, expected.signals)
    if form != "npy":
        for ours, theirs in ((result.image, expected.image), (result.mean, expected.mean)):
            assert [axis.units for axis in ours.axes] == [axis.units for axis in theirs.axes]
            for a, b in zip(ours.axes, theirs.axes, strict=True):
                np.testing.assert_allclose(a.values, b.values, atol=1e-9)
