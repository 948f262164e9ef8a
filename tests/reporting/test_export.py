"""What is taken away from a result: that other programs read it, calibrated, with the values of the result."""

import csv

import hyperspy.api as hs
import numpy as np
import pytest
import tifffile

import emcore
from emcore import datasets
from emcore.cli import main
from emcore.results.contents import contents


@pytest.fixture(scope="module")
def grains():
    return emcore.segment_grains(datasets.bent_polycrystal((24, 32), (32, 32), n_grains=4).patterns)


@pytest.fixture(scope="module")
def phases():
    return emcore.unmix(datasets.eds_phases(shape=(30, 40)).signal)


def test_label_images_count_from_one_and_know_their_scale(grains, tmp_path):
    grains.export(tmp_path, stem="a")
    with tifffile.TiffFile(tmp_path / "a.labels.tif") as file:
        labels = file.asarray()
        assert np.array_equal(labels.astype(int), grains.labels + 1)
        assert file.imagej_metadata["unit"] == "nm"
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert denominator / numerator == pytest.approx(4.0)
    patterns = tifffile.imread(tmp_path / "a.signals.tif")
    np.testing.assert_allclose(patterns, grains.signals, rtol=1e-6)
    correlation = emcore.read(tmp_path / "a.correlation.tif")
    np.testing.assert_allclose(correlation.data, grains.correlation, rtol=1e-6)
    assert correlation.axis("x").scale == pytest.approx(4.0)
    assert correlation.axis("x").units == "nm"


def test_tables_and_spectra_have_units_in_their_heads(phases, grains, tmp_path):
    phases.export(tmp_path, stem="p", maps=())
    grains.export(tmp_path, stem="g", maps=(), spectra=())
    head, *rows = csv.reader((tmp_path / "g.grain.csv").read_text().splitlines())
    assert head == ["grain", "positions", "equivalent diameter (nm)"]
    assert [int(row[1]) for row in rows] == grains.size.tolist()
    head, *rows = csv.reader((tmp_path / "p.spectra.csv").read_text().splitlines())
    assert head == ["energy (eV)", "component 1", "component 2", "component 3"]
    table = np.array(rows, dtype=float)
    np.testing.assert_allclose(table[:, 0], phases.mean.axes[0].values)
    np.testing.assert_allclose(table[:, 1:], phases.spectra.T, rtol=1e-5, atol=1e-12)
    assert not list(tmp_path.glob("*.tif"))


def test_hyperspy_reads_the_spectra(phases, tmp_path):
    phases.export(tmp_path, stem="p", maps=(), tables=(), spectra="msa")
    for number in range(3):
        signal = hs.load(tmp_path / f"p.spectra_{number + 1}.msa")
        # What the file has no decimals for is multiplied, and its title says so.
        times = float(signal.metadata.General.title.split(", times ")[1])
        np.testing.assert_allclose(signal.data / times, phases.spectra[number], rtol=1e-9, atol=1e-12)
        axis = signal.axes_manager[0]
        assert (axis.scale, axis.units) == (phases.mean.axes[0].scale, "eV")


@pytest.mark.parametrize("wanted", [{"maps": ("tif", "png", "ome-zarr")}, {"figures": ("svg", "png", "pdf")}])
def test_every_format_is_written_and_nothing_else(wanted, grains, tmp_path):
    nothing = {"maps": (), "tables": (), "spectra": (), "figures": ()}
    files = grains.export(tmp_path / "new", stem="a", **nothing | wanted)
    assert sorted(files) == sorted((tmp_path / "new").iterdir())
    assert {file.suffix.removeprefix(".") for file in files} == {
        each.replace("ome-", "") for each in next(iter(wanted.values()))
    }


def test_all_files_are_there_or_none(grains, tmp_path):
    (tmp_path / "a.figure.svg").write_text("precious")
    with pytest.raises(FileExistsError):
        grains.export(tmp_path, stem="a", figures="svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.figure.svg"]
    with pytest.raises(ValueError, match="maps='bmp' is no format for maps: choose among tif, png, ome-zarr"):
        grains.export(tmp_path, maps="bmp")


def test_the_verbs_take_away_and_draw_again(grains, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    grains.save("scan.grains.h5")
    assert main(["export", "scan.grains.h5", "--maps", "tif,png", "--spectra", "none", "--output", "out"]) == 0
    assert "scan.grains.labels.png" in capsys.readouterr().out
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".tif", ".png", ".csv"}
    assert main(["report", "scan.grains.h5", "--html"]) == 0
    assert (tmp_path / "scan.grains.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "scan.grains.html").read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(SystemExit):
        main(["export", "scan.grains.h5", "--maps", "bmp"])
    assert "none of tif, png, ome-zarr" in capsys.readouterr().err
    assert main(["report", "no.h5"]) == 1


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.float32])
def test_a_picture_of_whole_numbers_is_no_map_of_labels(dtype):
    picture = (1000 * datasets.lattice_micrograph((256, 256)).image).clip(0, 200).astype(dtype)
    maps = {shown.name: shown.labels for shown in contents(emcore.analyze_image(picture, window=64)).maps}
    assert maps == {"maps": False, "regions": True, "image": False}


def results():
    scan = datasets.bent_polycrystal((12, 14), (32, 32), n_grains=3).patterns
    both = datasets.correlated_scan((16, 16))
    eds = datasets.eds_phases(shape=(20, 24))
    yield emcore.segment_grains(scan)
    yield emcore.cluster_diffraction(scan, 3)
    yield emcore.cluster_reflections(datasets.polycrystal_scan((16, 18), (48, 48), 3).patterns, 3)
    yield emcore.cluster_curves(datasets.iv_curves((10, 12), 60).curves, 3)
    yield emcore.unmix(eds.signal)
    yield emcore.phase_map(eds.signal, eds.spectra)
    yield emcore.correlate([both.diffraction, both.eds], 3)
    yield emcore.analyze_image(datasets.lattice_micrograph((256, 256)).image, window=64)
    yield emcore.find_particles(datasets.shaped_particles((160, 200), 8).image)
    yield emcore.local_symmetry_series(datasets.moving_boundary(2, (128, 144)).frames, n_regions=2)


def test_every_result_is_short_in_words_has_a_page_and_is_taken_away(tmp_path):
    for number, result in enumerate(results()):
        name = type(result).__name__
        words = repr(result)
        assert words.startswith(f"{name} of ")
        assert len(words.splitlines()) < 14
        assert max(map(len, words.splitlines())) < 130
        assert "array(" not in words
        assert f"<b>{name} of " in result._repr_html_()
        inside = contents(result)
        assert inside.maps, name
        assert all(shown.values.shape[1:] == tuple(axis.size for axis in shown.axes) for shown in inside.maps)
        assert all(shown.values.shape[1:] == tuple(axis.size for axis in shown.axes) for shown in inside.signals)
        assert result.to_html(tmp_path / f"{number}.html").stat().st_size < 30 << 20
        assert result.export(tmp_path, stem=str(number))
