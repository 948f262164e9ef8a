"""Particles of images and their spectra: sums, labels that are given, tables, real files."""

import csv

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import adjusted_rand_index, shaped_particles
from emcore.workflows.particles import find_particles


@pytest.fixture(scope="module")
def sample():
    return shaped_particles((192, 256), n_particles=24, channels=60, seed=11)


@pytest.fixture(scope="module")
def result(sample):
    return find_particles(sample.image, sample.spectrum_image)


def test_spectra_of_particles_and_the_rest_add_up_to_the_whole(sample, result):
    data = sample.spectrum_image.data.astype(np.int64)
    assert np.array_equal(result.spectra.sum(axis=0) + result.rest, data.sum(axis=(0, 1)))
    for index in (0, 5, result.n_particles - 1):
        assert np.array_equal(result.spectra[index], data[result.labels == index].sum(axis=0))
        assert result.positions[index] == np.count_nonzero(result.labels == index)
    assert np.allclose(result.mean.data, data.mean(axis=(0, 1)))


def test_particles_are_measured_in_the_units_of_the_image(sample, result):
    assert result.length_units == "nm"
    sizes = np.bincount(result.labels[result.labels >= 0])
    assert np.array_equal(result.area, 4.0 * sizes)
    assert np.all(np.diff(result.area) <= 0)
    y, x = np.nonzero(result.labels == 3)
    assert (result.y[3], result.x[3]) == pytest.approx((2 * y.mean(), 2 * x.mean()))
    assert result.brightness[3] == pytest.approx(sample.image.data[result.labels == 3].mean(), rel=1e-5)
    at_border = np.unique(np.concatenate([result.labels[[0, -1]].ravel(), result.labels[:, [0, -1]].ravel()]))
    assert set(np.flatnonzero(result.cut)) == set(at_border) - {-1}
    assert (result.shape_class[result.cut] == -1).all()


def test_compositions_are_the_planted_materials(sample, result):
    planted = np.array(
        [
            np.bincount(sample.labels[(result.labels == i) & (sample.labels >= 0)]).argmax()
            for i in range(result.n_particles)
        ]
    )
    assert adjusted_rand_index(sample.material[planted], result.group) == 1


def test_labels_and_masks_that_are_given_are_kept(sample):
    given = find_particles(sample.image, labels=sample.labels + 1)
    assert adjusted_rand_index(given.labels, sample.labels) == 1
    assert np.isnan(given.threshold)
    mask = find_particles(sample.image, labels=sample.labels >= 0)
    assert adjusted_rand_index(mask.labels, sample.labels) > 0.99
    assert find_particles(sample.image, labels=3 * (sample.labels + 1)).n_particles == given.n_particles


def test_a_spectrum_image_alone_is_its_own_image(sample):
    observed = find_particles(sample.spectrum_image)
    assert any("the image is the sum of the spectra" in note for note in observed.provenance.notes)
    assert np.array_equal(observed.image.data, sample.spectrum_image.data.sum(axis=-1, dtype=float))
    assert adjusted_rand_index(observed.labels, sample.labels) > 0.9


def test_a_spectrum_image_on_a_coarser_grid_is_shared_out_whole(sample, result):
    data = sample.spectrum_image.data[::2, ::2]
    axes = tuple(
        Axis(axis.name, size, 2 * axis.scale, units=axis.units, navigation=True)
        for axis, size in zip(sample.spectrum_image.axes, data.shape[:2], strict=False)
    )
    coarse = Signal(data, (*axes, sample.spectrum_image.axes[-1]), flagged=True)
    observed = find_particles(sample.image, coarse)
    assert np.array_equal(observed.spectra.sum(axis=0) + observed.rest, data.sum(axis=(0, 1), dtype=float))
    assert any("each position belongs to the particle at its middle" in note for note in observed.provenance.notes)
    assert np.allclose(observed.positions / np.maximum(result.positions, 1), 0.25, atol=0.1)


def test_spectra_out_of_core_and_with_nan_give_the_same_sums(sample, result, tmp_path):
    np.save(tmp_path / "a.npy", sample.spectrum_image.data)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    observed = find_particles(sample.image, mapped, memory="5 MB")
    assert any("out of core" in note for note in observed.provenance.notes)
    assert np.array_equal(observed.spectra, result.spectra)
    assert np.array_equal(observed.rest, result.rest)
    data = sample.spectrum_image.data.astype(np.float32)
    data[0, 0] = np.nan
    lost = find_particles(sample.image, data)
    whole = np.nansum(data.astype(np.float64), axis=(0, 1))
    assert np.allclose(lost.spectra.sum(axis=0) + lost.rest, whole)
    assert any("1 position of the spectra with NaN" in note for note in lost.provenance.notes)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((np.full((50, 60), np.nan),), {}, "contains NaN or infinity, first at"),
        ((np.zeros((50, 60)),), {}, "no particles of at least 16 pixels"),
        ((np.eye(50),), {"labels": np.ones((4, 4), int)}, "labels has shape"),
        ((np.random.default_rng(0).random((50, 60)), np.ones((50, 90, 5))), {}, "no two grids of one region"),
        ((np.eye(50),), {"min_size": 0}, "min_size=0 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        find_particles(*arguments, **settings)


def test_labels_that_are_not_whole_are_refused():
    with pytest.raises(TypeError, match="whole numbers"):
        find_particles(np.eye(20), labels=np.full((20, 20), 0.5))


def test_a_result_is_read_back_drawn_and_its_table_is_a_csv(result, tmp_path):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    assert emcore.load_result(result.save(tmp_path / "a.h5")) == result
    assert "Compositions" in [axes.get_title("left") for axes in result.plot().axes]
    path = result.write_table(tmp_path / "a.csv")
    lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert len(lines) == result.n_particles
    assert float(lines[2]["area (nm^2)"]) == pytest.approx(result.area[2])
    assert float(lines[2]["counts"]) == pytest.approx(result.spectra[2].sum())
    with pytest.raises(FileExistsError):
        result.write_table(path)


def test_exspy_quantifies_the_spectra_with_what_the_file_says_of_the_microscope(sample, tmp_path):
    pytest.importorskip("exspy")
    hs = pytest.importorskip("hyperspy.api")
    signal = hs.signals.Signal1D(sample.spectrum_image.data.astype(np.float32))
    signal.set_signal_type("EDS_TEM")
    axis = signal.axes_manager[-1]
    axis.name, axis.units, axis.scale, axis.offset = "Energy", "keV", 0.2, 0.1
    signal.set_microscope_parameters(beam_energy=200, live_time=1.0, energy_resolution_MnKa=130)
    signal.add_elements(["Cu", "Pt"])
    observed = find_particles(sample.image, signal).to_hyperspy()["spectra"]
    assert type(observed).__name__ == "EDSTEMSpectrum"
    assert observed.metadata.Acquisition_instrument.TEM.beam_energy == 200
    assert list(observed.metadata.Sample.elements) == ["Cu", "Pt"]
    intensities = observed.get_lines_intensity(xray_lines=["Cu_Ka", "Pt_La"])
    composition = observed.quantification(intensities, method="CL", factors=[1.0, 1.5])
    assert np.allclose(composition[0].data + composition[1].data, 100)


def test_the_verb_writes_report_results_and_table(sample, tmp_path, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "image.npy", sample.image.data)
    np.save(tmp_path / "spectra.npy", sample.spectrum_image.data)
    folder = tmp_path / "out"
    words = ["particles", str(tmp_path / "image.npy"), str(tmp_path / "spectra.npy"), "--output", str(folder)]
    assert main(words) == 0
    assert {path.name for path in folder.iterdir()} == {
        "image.particles.pdf",
        "image.particles.h5",
        "image_particles.csv",
    }
    assert "particles" in capsys.readouterr().out
    assert main(words) == 1


def test_scikit_image_is_an_extra_that_is_named(monkeypatch):
    import sys

    for name in ("filters", "measure", "morphology", "segmentation"):
        monkeypatch.setitem(sys.modules, f"skimage.{name}", None)
    with pytest.raises(ImportError, match=r"pip install '.+\[image\]"):
        find_particles(np.eye(30))


def test_real_particles_are_found(data_folder):
    observed = find_particles(data_folder / "haadf_particles.emd")
    assert observed.length_units == "um"
    # The four large ones: by their places in pixels.
    places = ((375, 238), (145, 252), (175, 490), (315, 32))
    found = [int(observed.labels[y, x]) for y, x in places]
    assert min(found) >= 0
    assert len(set(found)) == 4
    spectra = find_particles(data_folder / "core_shell.hspy")
    assert spectra.n_particles >= 7
    whole = emcore.read(data_folder / "core_shell.hspy").data.sum(axis=(0, 1), dtype=float)
    assert np.array_equal(spectra.spectra.sum(axis=0) + spectra.rest, whole)
