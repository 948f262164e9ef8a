"""Files that people posted: what is right for each, not only that it opens."""

import numpy as np
import pytest

import emcore
from emcore.io.read import read
from emcore.scans.describe import inspect


@pytest.fixture(scope="module")
def cases(data_folder):
    folder = data_folder / "cases"
    if not folder.is_dir():
        pytest.skip("the cases are not at hand")
    return folder


def steps(signal):
    return [(axis.name, axis.size, pytest.approx(axis.scale, rel=1e-6), axis.units) for axis in signal.axes]


PICTURES = {  # height and width in pixels, without the bar below; size of a pixel along y and x
    "zeiss_512.tif": ((350, 512), (11.649976, 11.649976), "nm"),
    "tescan.tif": ((768, 1024), (2.5012, 2.5012), "um"),
    "olympus_sis.tif": ((101, 112), (0.023928, 0.023928), "nm"),
    "tvips_line_noise.tif": ((1024, 1024), (1.4208, 1.4208), "nm"),
    "pixels_not_square.dm3": ((64, 128), (0.2, 1.0), "nm"),
    "colour_first.hspy": ((512, 512), (0.13, 0.13), "cm"),
    "colour_record.hdf5": ((128, 128), (1.0, 1.0), "px"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_its_size_and_what_is_none_has_no_lattice(name, cases):
    shape, scales, units = PICTURES[name]
    window = min(128, *(side // 2 for side in shape))
    result = emcore.analyze_image(cases / name, window=window, n_components=1)
    assert [axis.units for axis in result.image.axes] == [units, units]
    assert [axis.scale for axis in result.image.axes] == pytest.approx(scales, rel=1e-4)
    rows = np.flatnonzero((result.regions >= 0).any(axis=1))
    assert (rows[-1] + 1, result.regions.shape[1]) == shape
    if name in ("tvips_line_noise.tif", "tescan.tif", "zeiss_512.tif", "colour_first.hspy"):
        assert np.isnan(result.spacing).all()


def test_the_calibrated_picture_is_taken_and_not_its_coloured_preview(cases):
    result = emcore.analyze_image(cases / "olympus_sis.tif", window=48, n_components=1)
    assert result.image.dtype == np.uint16
    assert any("data set 1" in note for note in result.provenance.notes)


def test_colour_is_luminance_wherever_its_axis_stands(cases):
    for name, frame in (("colour_first.hspy", None), ("colour_record.hdf5", 1)):
        result = emcore.analyze_image(cases / name, window=64, n_components=1, frame=frame)
        assert any("luminance" in note for note in result.provenance.notes)


def test_two_lattices_of_graphene_and_a_blob_without(cases):
    result = emcore.analyze_image(cases / "graphene_boundary.npy")
    lattices = np.isfinite(result.spacing)
    assert lattices.sum() == 2
    assert np.all((result.spacing[lattices] > 17.3) & (result.spacing[lattices] < 18.6))
    blob = np.flatnonzero(~lattices)
    y, x = np.nonzero(np.isin(result.regions, blob))
    assert (y.mean() > 300) & (x.mean() > 300)


SPECTRA = {  # scan, channels, first value and step along them, unit
    "velox_eds.emd": ((16, 16), 4096, -250.0, 10.0, "eV"),
    "eels_energy_first.dm3": ((49, 6), 1024, 350.0, 0.5, "eV"),
    "eels_line.hspy": ((40,), 586, 428.5, 0.5, "eV"),
    "eels_line_format_1.hdf5": ((40,), 586, 428.5, 0.5, "eV"),
    "eels_round_off.hspy": ((17,), 1024, -100.0, 0.5, "eV"),
    "eds_4x3.bcf": ((3, 4), 1024, -470.1, 10.0, "eV"),
    "hitachi.bcf": ((240, 320), 2048, -474.6, 10.0, "eV"),
    "cl_wavelength_first.dm4": ((16, 16), 1336, 470.53117, 0.20556016, "nm"),
    "transients_uneven_axis.hspy": ((30, 30), 525, 2.4, 0.004, "ns"),
    "sparc.h5": ((4, 4), 512, 376.3163, 0.86999249, "nm"),
    "tia/line_patterns_EDS.emi": ((5,), 4000, 0.0, 5.0, "eV"),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra_lie_along_their_axis(name, cases):
    from emcore.scans.spectra import as_spectrum_image

    scan, channels, first, step, units = SPECTRA[name]
    signal = as_spectrum_image(cases / name)
    assert signal.shape == (*scan, channels)
    assert (signal.axes[-1].values[0], signal.axes[-1].scale) == pytest.approx((first, step), rel=1e-5)
    assert signal.axes[-1].units == units


def test_what_is_not_calibrated_is_in_pixels(cases):
    scan = read(cases / "hitachi.bcf", dataset="EDX").axes[:2]
    assert [axis.units for axis in scan] == ["px", "px"]
    velox = read(cases / "velox_eds.emd", dataset="HAADF")
    assert [(axis.scale, axis.units) for axis in velox.axes] == [(pytest.approx(3.5992, rel=1e-4), "nm")] * 2


def test_round_off_is_zero_and_said(cases):
    result = emcore.unmix(cases / "eels_round_off.hspy", 2)
    assert any("negative by rounding" in note and "set to zero" in note for note in result.provenance.notes)


def test_a_line_of_two_phases(cases):
    results = [emcore.unmix(cases / name) for name in ("eels_line.hspy", "eels_line_format_1.hdf5")]
    assert [result.n_components for result in results] == [2, 2]
    assert results[0].maps.shape == (2, 40)
    assert np.array_equal(results[0].maps, results[1].maps)
    axes = [axis for axis in results[0].plot().axes if "position" in axis.get_xlabel()]
    assert axes


def test_cameras_that_do_not_count_have_few_components(cases):
    assert 3 <= emcore.unmix(cases / "eels_energy_first.dm3").n_components <= 8
    assert emcore.unmix(cases / "cl_wavelength_first.dm4").n_components <= 10


def test_a_scan_that_was_stopped_is_told_from_what_was_measured(cases):
    result = emcore.unmix(cases / "eds_stopped.bcf")
    assert any("8681 of 8700 positions are empty" in note for note in result.provenance.notes)
    curves = emcore.cluster_curves(cases / "sts_stopped.npz", 3)
    empty = ~np.load(cases / "sts_stopped.npz")["current"].any(axis=2)
    assert empty.sum() == 378
    assert np.array_equal(curves.labels == -1, empty)
    assert any("378 of 900 positions are empty" in note for note in curves.provenance.notes)


def test_a_dozen_positions_have_no_four_phases(cases):
    try:
        assert emcore.unmix(cases / "eds_large_counts.bcf").n_components == 1
    except ValueError as error:
        assert "positions" in str(error)  # noqa: PT017


def test_curves_have_the_axis_that_their_file_says(cases):
    result = emcore.cluster_curves(cases / "iv_nsid.hf5", 3)
    axis = result.mean.axes[0]
    assert not axis.even
    assert axis.values[[0, -1]] == pytest.approx([8592, 11180], abs=1)
    assert result.image.axes[0].scale == pytest.approx(0.10204, rel=1e-4)
    time = emcore.cluster_curves(cases / "transients_uneven_axis.hspy", 2).mean.axes[0]
    assert (time.values[0], time.values[-1], time.units) == (2.4, pytest.approx(4.496), "ns")


def test_curves_of_different_length_are_cropped_when_asked_to(cases):
    with pytest.raises(ValueError, match=r"134 .*crop='common'"):
        emcore.cluster_curves(cases / "z_curves_nan_tails.npz", 2)
    result = emcore.cluster_curves(cases / "z_curves_nan_tails.npz", 2, crop="common")
    assert result.signals.shape == (2, 134)
    assert np.isfinite(result.signals).all()


def test_patterns_are_found_with_their_calibration(cases):
    scan = read(cases / "py4dstem_datacube.h5")
    assert scan.shape == (2, 3, 4, 5)
    (observed,) = inspect(cases / "py4dstem_datacube.h5")
    assert [axis["role"] for axis in observed["axes"]] == ["scan", "scan", "detector", "detector"]
    assert observed["axes"][2]["scale"] == pytest.approx(0.0442516, rel=1e-5)
    assert (observed["axes"][2]["units"], observed["axes"][0]["units"]) == ("1/A", "nm")
    patterns = [each for each in inspect(cases / "tia/line_patterns_EDS.emi") if each["kind"].startswith("pattern")]
    assert patterns[0]["shape"] == [5, 128, 128]
    assert patterns[0]["axes"][1]["scale"] == pytest.approx(0.174353, rel=1e-5)
    assert patterns[0]["axes"][1]["units"] == "1/nm"


def test_patterns_behind_a_link_are_read_or_what_is_lacking_is_named(cases):
    try:
        scan = read(cases / "arina/test_00_master.h5")
    except ImportError as error:
        assert "hdf5plugin" in str(error)  # noqa: PT017
    else:
        assert scan.shape == (16, 192, 192)


def test_a_hot_pixel_is_no_beam(cases):
    from emcore.detectors import masked_beam
    from emcore.scans.patterns import scan_of_patterns

    scan = scan_of_patterns(cases / "merlin_hot_pixel.mib")
    center, radius, notes = masked_beam(np.asarray(scan.data, np.float64).mean(axis=(0, 1)), True, None)
    assert (center, radius) == (None, None)
    assert "nothing was masked" in notes[0]


def test_what_cannot_be_read_is_called_by_its_name(cases):
    with pytest.raises(ValueError, match="RAW is not supported"):
        read(cases / "merlin_raw.mib")
    said = []
    for use in (inspect, emcore.analyze_image):
        try:
            use(cases / "future.hspy")
        except ValueError as error:
            said.append(str(error))
    assert len(said) in (0, 2) or "images: say which" in said[0]
