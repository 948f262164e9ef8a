"""Spectrum images of which some spectra are known: against the truth, in memory, out of core, from files."""

import json

import h5py
import numpy as np
import pytest
import zarr
from scipy.optimize import nnls

import emcore
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.datasets import eds_phases, eds_spectrum
from emcore.methods.unmixing.joining import spectral_angle
from emcore.methods.unmixing.weights import channel_weights
from emcore.results.references import as_references
from emcore.workflows.unmix import unmix

da = pytest.importorskip("dask.array")
AXIS = Axis("energy", 500, 20.0, 0.0, "eV")
GRID = (Axis("y", 40, 2.0, units="nm", navigation=True), Axis("x", 40, 2.0, units="nm", navigation=True))


@pytest.fixture(scope="module")
def film():
    """Counts of two phases, everywhere mixed, on a film that lies under both; the maps and spectra of the three."""
    energy = AXIS.values / 1000
    of = ({"C": 1.0, "Si": 0.6, "Cu": 0.2}, {"Fe": 1.0, "O": 1.0}, {"Sr": 1.0, "Ti": 1.0, "O": 3.0})
    spectra = np.stack([eds_spectrum(each, energy) for each in of])
    spectra /= spectra.sum(axis=1, keepdims=True)
    y, x = np.mgrid[:40, :40] / 40
    share = 0.1 + 0.8 / (1 + np.exp(12 * (x - 0.5 + 0.2 * np.sin(6 * y))))
    maps = 200 * np.stack([0.5 * (1 + 0.3 * x), share, 1 - share])
    counts = np.random.default_rng(0).poisson(np.einsum("kyx,kd->yxd", maps, spectra)).astype("u2")
    return Signal(counts, (*GRID, AXIS), title="film"), maps, spectra


def test_the_spectrum_of_the_film_finds_the_phases_on_it_and_how_many_there_are(film):
    signal, maps, spectra = film
    alone = unmix(signal)
    assert spectral_angle(spectra[1:], alone.spectra).min(axis=1).max() > 20
    result = unmix(signal, references={"film": spectra[0]})
    assert (result.n_components, result.references) == (3, ("film",))
    assert "; with 1 reference 3 in all" in result.reason
    np.testing.assert_allclose(result.spectra[0], spectra[0], rtol=1e-12)
    angles = spectral_angle(spectra[1:], result.spectra[1:])
    assert angles.min(axis=1).max() < 8
    ordered = maps[1:][angles.argmin(axis=0)]
    assert np.abs(result.maps[1:] - ordered).mean() < 0.2 * maps[1:].mean()
    assert "what the components leave is noise, at every position and in every channel" in result.provenance.notes


@pytest.fixture(scope="module")
def sample():
    return eds_phases(minority=0.01)


def test_with_all_spectra_fixed_maps_are_weighted_least_squares_of_every_position(sample):
    data = sample.signal.data.reshape(4096, -1)
    result = unmix(sample.signal, references=7.5 * sample.spectra, n_components=3)
    np.testing.assert_allclose(result.spectra, sample.spectra, rtol=1e-12)
    weights = channel_weights(data.sum(axis=0, dtype="f8"), data.sum(axis=1, dtype="f8"), True)
    root = np.sqrt(np.where(data.any(axis=0), weights, weights[data.any(axis=0)].max()))
    expected = [nnls((sample.spectra * root).T, data[i] * root)[0] for i in range(0, 4096, 37)]
    np.testing.assert_allclose(result.maps.reshape(3, -1).T[::37], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result.fraction, sample.maps.sum(axis=(1, 2)) / sample.maps.sum(), atol=0.005)


def test_what_known_spectra_leave_is_said_and_where(sample):
    result = unmix(sample.signal, references=sample.spectra[:2], n_components=2)
    said = next(note for note in result.provenance.notes if "leave is more than noise" in note)
    assert "most at 8040 eV" in said  # copper
    many = int(said.partition(" at ")[2].split()[0])
    assert 20 <= many <= np.count_nonzero(sample.maps[2]) + 20


def test_a_reference_that_is_not_there_is_named_and_takes_nobodys_place(sample):
    titanium = eds_spectrum({"Ti": 1.0}, sample.signal.axes[-1].values)
    result = unmix(sample.signal, references={"Ti": titanium, "Al": sample.spectra[0]})
    assert (result.n_components, result.references) == (4, ("Ti", "Al"))
    assert spectral_angle(sample.spectra, result.spectra).min(axis=1).max() < 8
    assert any(note.startswith("hardly any of the reference Ti: 0.") for note in result.provenance.notes)
    assert not any("reference Al:" in note for note in result.provenance.notes)
    everything = np.vstack([eds_spectrum({name: 1.0}, sample.signal.axes[-1].values) for name in ("Ti", "W", "Pd")])
    library = unmix(sample.signal, references=np.vstack([everything, sample.spectra]))
    assert library.n_components == 6
    assert sum("hardly any" in note for note in library.provenance.notes) == 3


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
@pytest.mark.parametrize("weighting", ["poisson", "none"])
def test_references_stay_first_and_as_they_are_however_the_others_are_sought(sample, loss, weighting):
    options = {"loss": loss, "weighting": weighting, "references": sample.spectra[[2, 1]]}
    result = unmix(sample.signal, n_components=3, **options)
    np.testing.assert_allclose(result.spectra[:2], sample.spectra[[2, 1]], rtol=1e-12)
    assert spectral_angle(sample.spectra[:1], result.spectra[2:])[0, 0] < 3


def test_values_of_a_camera_have_references_too(film):
    _, maps, spectra = film
    rng = np.random.default_rng(1)
    expected = 20 * np.einsum("kyx,kd->yxd", maps, spectra)
    values = (2.5 * rng.poisson(expected) + rng.normal(0, 3, expected.shape)).clip(0).astype("f4")
    result = unmix(Signal(values, (*GRID, AXIS)), n_components=3, references=spectra[:1], cosmic_rays="keep")
    assert spectral_angle(spectra[1:], result.spectra[1:]).min(axis=1).max() < 10


@pytest.mark.usefixtures("nothing_is_loaded")
def test_references_out_of_core_are_those_of_memory(film, tmp_path):
    signal, _, spectra = film
    data = signal.data
    np.save(tmp_path / "map.npy", data)
    with h5py.File(tmp_path / "map.h5", "w") as file:
        file.create_dataset("map", data=data, chunks=(4, 8, 500))
    stored = zarr.create_array(
        store=str(tmp_path / "map.zarr"), shape=data.shape, dtype=data.dtype, chunks=(4, 16, 500)
    )
    stored[:] = data
    expected = unmix(signal, references=spectra[:1])
    with h5py.File(tmp_path / "map.h5") as file:
        for where in (
            np.load(tmp_path / "map.npy", mmap_mode="r"),
            file["map"],
            stored,
            da.from_array(data, (9, 40, 500)),
        ):
            result = unmix(Signal(where, signal.axes), references=spectra[:1], memory="20 MB")
            assert result.n_components == 3
            np.testing.assert_allclose(result.spectra, expected.spectra, rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(result.maps, expected.maps, rtol=1e-2, atol=0.3)


def test_a_checkpoint_of_other_references_is_refused(film, tmp_path):
    signal, _, spectra = film
    words = {"n_components": 2, "checkpoint": tmp_path / "job.npz"}
    first = unmix(signal, references=spectra[:2], **words)
    again = unmix(signal, references=spectra[:2], **words)
    np.testing.assert_array_equal(first.maps, again.maps)
    with pytest.raises(ValueError, match="references"):
        unmix(signal, references=spectra[1:], **words)


@pytest.fixture
def files(film, tmp_path):
    """The scan, and the spectra of its film and phases in files of several kinds."""
    signal, _, spectra = film
    np.save(tmp_path / "scan.npy", signal.data)
    table = {"energy (keV)": AXIS.values / 1000, "iron oxide": spectra[1], "titanate": spectra[2]}
    lines = [",".join(table), *(",".join(f"{x:.9g}" for x in row) for row in zip(*table.values(), strict=True))]
    (tmp_path / "phases.csv").write_text("\n".join(lines))
    from rsciio.msa import file_writer

    described = {"name": "energy", "size": 500, "scale": 0.02, "offset": 0.0, "units": "keV", "navigate": False}
    head = {"General": {"title": "film"}, "Signal": {"signal_type": "EDS_TEM"}}
    of_film = {"data": 1e6 * spectra[0], "axes": [described], "metadata": head, "original_metadata": {}}
    file_writer(str(tmp_path / "carbon film.msa"), of_film)
    unmix(signal, references=spectra, n_components=3).save(tmp_path / "scan.unmix.h5")
    return tmp_path


def test_references_come_from_files_whose_names_are_kept(film, files):
    signal, _, spectra = film
    given = [files / "carbon film.msa", files / "phases.csv"]
    result = unmix(signal, references=given, n_components=3)
    assert result.references == ("carbon film", "iron oxide", "titanate")
    assert result.provenance.parameters["references"]["titanate"] == str(files / "phases.csv")
    assert spectral_angle(spectra, result.spectra).diagonal().max() < 0.5
    other = unmix(signal, references=files / "scan.unmix.h5", n_components=3)
    np.testing.assert_allclose(other.spectra, spectra, rtol=1e-12)
    assert other.references == tuple(f"scan.unmix {i}" for i in (1, 2, 3))
    hyperspy = pytest.importorskip("hyperspy.api")
    one = hyperspy.signals.Signal1D(spectra[0])
    one.axes_manager[0].scale, one.axes_manager[0].units, one.metadata.General.title = 20.0, "eV", "film"
    assert unmix(signal, references=[one, spectra[1]], n_components=2).references == ("film", "reference 2")


def test_the_result_keeps_what_was_fixed_in_its_file_its_report_and_its_page(film, files):
    result = unmix(film[0], references={"film <&>": film[2][0]}, n_components=3)
    result.save(files / "kept.h5")
    assert emcore.load_result(files / "kept.h5").references == ("film <&>",)
    result.report(files / "kept.pdf")
    said = [text.get_text() for axes in result.plot().axes for text in [*axes.texts, axes._left_title]]
    assert any("given: film <&>" in text for text in said)
    result.to_html(files / "kept.html")
    assert "fixed spectrum: film \\u003c&> (array)" in (files / "kept.html").read_text()


def test_the_command_line_takes_several_files_of_references(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    words = ["unmix", "scan.npy", "--quiet", "--components", "3", "--force"]
    assert main([*words, "--references", "phases.csv", "missing.msa"]) == 1
    assert "missing.msa does not exist" in capsys.readouterr().err
    assert main([*words, "--references", "scan.unmix.h5"]) == 0
    (files / "emcore.toml").write_text('[unmix]\nreferences = ["carbon film.msa", "phases.csv"]\n')
    assert main([word for word in [*words, "--json"] if word != "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert any(note.startswith("fixed spectra: carbon film (carbon film.msa), iron oxide") for note in told["notes"])
    assert main([*words, "--references", "scan.unmix.h5"]) == 0
    assert emcore.load_result("scan.unmix.h5").references == tuple(f"scan.unmix {i}" for i in (1, 2, 3))


def energies(**changes):
    return Axis(**{"name": "energy", "size": 500, "scale": 20.0, "offset": 0.0, "units": "eV", **changes})


@pytest.mark.parametrize(
    ("references", "options", "message"),
    [
        (np.ones(499), {}, r"references have shape \(499,\) each; 500 along energy are needed"),
        (
            Signal(np.ones(500), (energies(scale=10.0),)),
            {},
            "500 channels from 0 to 4990 eV, which are not among those",
        ),
        (Signal(np.ones(500), (energies(offset=10.0),)), {}, "500 channels from 10 to 9990 eV, which are not among"),
        (
            Signal(np.ones(400), (energies(size=400),)),
            {},
            r"references reach from 0 to 7980 eV, the data from 0 to 9980",
        ),
        (Signal(np.ones(3), (Axis.from_values("energy", [0, 1, 9], "keV"),)), {}, "3 channels from 0 to 9000 eV"),
        (np.full(500, np.nan), {}, "references contains NaN"),
        ({"a": -np.ones(500)}, {}, "reference 'a' has negative values, the smallest -1"),
        ({"a": np.eye(1, 500)[0]}, {"signal_range": (1000, 9000)}, "reference 'a' is zero in all channels"),
        ({"a": np.ones(500), "b": 2 * np.ones(500)}, {}, "references 'a' and 'b' are the same"),
        (np.eye(3, 500) + 1, {"n_components": 2}, "n_components=2 is less than the 3 references"),
        (np.ones(500), {"blocks": (8, 8)}, "references are fixed for the scan as a whole: leave blocks out"),
        ([], {}, "references is empty"),
        ("missing.msa", {}, "missing.msa does not exist"),
    ],
)
def test_references_that_do_not_fit_are_refused(film, references, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        unmix(film[0], references=references, **options)


def test_a_part_of_the_channels_is_enough_where_the_range_says_so(film):
    signal, _, spectra = film
    part = Signal(spectra[:, 50:450], (Axis("reference", 3, navigation=True), energies().crop(50, 450)))
    result = unmix(signal, references=part, n_components=3, signal_range=(1000, 8000))
    assert result.spectra.shape == (3, 351)
    np.testing.assert_allclose(result.spectra.sum(axis=1), 1)
    uneven = Axis.from_values("energy", AXIS.values + np.sin(np.arange(500)), "eV")
    assert not uneven.even
    assert as_references(Signal(spectra, (Axis("k", 3, navigation=True), uneven)), [uneven]).signals.shape == (3, 500)
