"""What a result says to other packages: of the microscope, the sample, its axes and units."""

import h5py
import numpy as np
import pytest

import emcore
from emcore import datasets
from emcore.core.signals import Signal


@pytest.fixture(scope="module")
def known():
    return {
        "signal_type": "EDS_TEM",
        "Acquisition_instrument": {
            "TEM": {
                "beam_energy": 200,
                "Stage": {"tilt_alpha": 0.0},
                "Detector": {"EDS": {"energy_resolution_MnKa": 130.0, "azimuth_angle": 0.0, "elevation_angle": 35.0}},
            }
        },
        "Sample": {"elements": ["Al", "Cu", "Fe"]},
    }


@pytest.fixture(scope="module")
def phases(known):
    signal = datasets.eds_phases(shape=(24, 30)).signal
    return emcore.unmix(Signal(signal.data, signal.axes, title="map", metadata={"instrument": known}))


def test_what_the_file_says_of_the_microscope_is_kept_and_read_back(phases, known, tmp_path):
    assert phases.provenance.instrument == known
    path = phases.save(tmp_path / "a.h5")
    assert emcore.load_result(path) == phases
    with h5py.File(path) as file:
        voltage = file["entry/instrument/ebeam_column/electron_source/voltage"]
        assert (voltage[()], voltage.attrs["units"]) == (200_000, "V")
        assert file["entry/sample/atom_types"].asstr()[()] == "Al, Cu, Fe"


def test_a_file_of_an_earlier_version_knows_nothing_of_it(phases, tmp_path):
    path = phases.save(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["entry/provenance/instrument"]
    assert emcore.load_result(path).provenance.instrument == {}


def test_exspy_quantifies_phases_without_a_hand(phases):
    pytest.importorskip("exspy")
    spectra = phases.to_hyperspy()["spectra"]
    assert type(spectra).__name__ == "EDSTEMSpectrum"
    assert spectra.axes_manager[-1].units == "keV"
    spectra.add_lines(["Al_Ka", "Cu_Ka", "Fe_Ka"])
    composition = spectra.quantification(spectra.get_lines_intensity(), method="CL", factors=[1.0, 1.5, 1.2])
    shares = np.stack([each.data for each in composition])
    np.testing.assert_allclose(shares.sum(axis=0), 100)
    # Al, Fe and Cu are the phases of this sample.
    assert set(shares.argmax(axis=0)) == {0, 1, 2}
    assert shares.max(axis=0).min() > 90


def test_maps_are_no_spectra_and_kinds_without_a_package_are_only_named(phases):
    signals = phases.to_hyperspy()
    assert type(signals["maps"]).__name__ == "Signal2D"
    assert signals["maps"].metadata.get_item("Signal.signal_type", "") == ""
    scan = datasets.bent_polycrystal((12, 14), (32, 32), n_grains=3).patterns
    known = {"signal_type": "a_kind_of_nobody", "Acquisition_instrument": {"TEM": {"beam_energy": 300}}}
    grains = emcore.segment_grains(Signal(scan.data, scan.axes, metadata={"instrument": known}))
    patterns = grains.to_hyperspy()["signals"]
    assert patterns.metadata.Signal.signal_type == "a_kind_of_nobody"
    assert patterns.metadata.Acquisition_instrument.TEM.beam_energy == 300


def test_stacks_say_that_they_are_electron_diffraction(tmp_path):
    scan = datasets.bent_polycrystal((12, 14), (32, 32), n_grains=3).patterns
    known = {"signal_type": "", "Acquisition_instrument": {"TEM": {"beam_energy": 300}}}
    grains = emcore.segment_grains(Signal(scan.data, scan.axes, metadata={"instrument": known}))
    with h5py.File(grains.export_patterns(tmp_path / "a.hspy")) as file:
        (experiment,) = file["Experiments"].values()
        assert experiment["metadata/Signal"].attrs["signal_type"] == "electron_diffraction"
        assert experiment["metadata/Acquisition_instrument/TEM"].attrs["beam_energy"] == 300


def test_xarray_in_and_out_keeps_coordinates_and_units():
    xarray = pytest.importorskip("xarray")
    sample = datasets.eds_phases(shape=(24, 30)).signal
    energy = sample.axes[-1]
    given = xarray.DataArray(
        sample.data,
        dims=("y", "x", "energy"),
        coords={
            "y": ("y", np.arange(24) * 2.0, {"units": "nm"}),
            "x": ("x", np.arange(30) * 2.0, {"units": "nm"}),
            "energy": ("energy", energy.values, {"units": "keV"}),
        },
        name="map",
    )
    signal = emcore.as_signal(given)
    assert signal.title == "map"
    assert [(axis.name, axis.units) for axis in signal.axes] == [("y", "nm"), ("x", "nm"), ("energy", "keV")]
    np.testing.assert_allclose(signal.axes[2].values, energy.values)
    result = emcore.unmix(given)
    whole = result.to_xarray()
    np.testing.assert_array_equal(whole["maps"].values, result.maps)
    assert whole["maps"].dims == ("component", "y", "x")
    assert whole["y"].attrs["units"] == "nm"
    assert whole["spectra"].attrs["long_name"] == "spectra"
    np.testing.assert_allclose(whole["energy"].values, result.mean.axes[0].values)
    again = emcore.as_signal(whole["maps"])
    assert again.axis("x").units == "nm"
    with pytest.raises(TypeError, match="holds several arrays"):
        emcore.as_signal(whole)


def test_axes_that_differ_do_not_share_a_coordinate():
    pytest.importorskip("xarray")
    result = emcore.analyze_image(datasets.lattice_micrograph((256, 320)).image, window=64)
    whole = result.to_xarray()
    assert whole["maps"].dims == ("component", "y", "x")
    assert whole["regions"].dims == ("regions_y", "regions_x")
    assert whole.sizes["regions_y"] == 256
