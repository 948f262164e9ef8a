"""Groups of spectra and profiles without a number: planted ones, noise, grains, data out of core, real files."""

from dataclasses import replace

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.signals import Axis
from emcore.datasets import adjusted_rand_index, deformed_series, plasmon_spectra
from emcore.workflows.groups import group_signals


@pytest.fixture(scope="module")
def series():
    return deformed_series((48, 64), n_grains=10, seed=11)


@pytest.fixture(scope="module")
def grouped(series):
    return group_signals(emcore.image_series(series.stack))


@pytest.fixture(scope="module")
def losses():
    return plasmon_spectra((40, 50), seed=11)


@pytest.fixture(scope="module")
def plasmons(losses):
    return group_signals(losses.signal)


def test_grains_are_found_and_the_share_that_is_not_recrystallised(series, grouped):
    assert adjusted_rand_index(series.labels, grouped.labels) >= 0.9
    assert grouped.noise == pytest.approx(np.mean(series.labels < 0), abs=0.03)
    assert grouped.rule == "density"
    assert grouped.area.sum() + grouped.noise == pytest.approx(1)
    assert np.all(np.diff(grouped.area) <= 0)


def test_phases_are_found_with_their_plasmons_and_what_is_graded_is_noise(losses, plasmons):
    assert adjusted_rand_index(losses.labels, plasmons.labels) >= 0.9
    assert plasmons.noise == pytest.approx(np.mean(losses.labels < 0), abs=0.03)
    for index in range(5):
        inside = (plasmons.labels == index) & (losses.labels >= 0)
        assert plasmons.peaks[index] == pytest.approx(np.median(losses.plasmon[inside]), abs=0.25)
    assert plasmons.peak_map.shape == (40, 50)
    assert "eV" in plasmons.peak_map.title


def test_mean_signals_and_the_map_of_the_peak_are_sums_of_the_data(losses, plasmons):
    data = losses.signal.data.astype(np.float64)
    for index in range(plasmons.n_clusters):
        assert np.allclose(plasmons.signals[index], data[plasmons.labels == index].mean(axis=0), rtol=1e-12)
    assert np.allclose(plasmons.image.data, data.mean(axis=-1))
    low, _, high = plasmons.peak_map.title.split()[:3]
    energy = losses.signal.axes[-1].values
    band = (energy > float(low) - 0.1) & (energy < float(high) + 0.1)
    assert np.allclose(plasmons.peak_map.data, data[..., band].sum(axis=-1))


def test_grains_are_connected_positions_of_one_group(grouped):
    from scipy import ndimage

    assert grouped.grain_size.sum() == np.count_nonzero(grouped.grains >= 0)
    assert np.all(np.diff(grouped.grain_size) <= 0)
    for index in range(len(grouped.grain_size)):
        inside = grouped.grains == index
        assert ndimage.label(inside)[1] == 1
        assert inside.sum() == grouped.grain_size[index] >= 5
        assert set(grouped.labels[inside]) == {grouped.grain_cluster[index]}
        at_border = inside[[0, -1]].any() or inside[:, [0, -1]].any()
        assert grouped.grain_cut[index] == at_border
    area = grouped.grain_size * 50.0**2
    assert np.allclose(grouped.grain_diameter, 2 * np.sqrt(area / np.pi))
    assert grouped.length_units == "nm"


def test_the_table_says_by_what_the_settings_were_chosen(grouped):
    sizes, neighbours, groups, noise, agree = grouped.tried.T
    assert len(set(zip(sizes, neighbours, strict=True))) == 15
    assert min(groups.min(), noise.min()) >= 0
    assert max(noise.max(), agree.max()) <= 1
    taken = (sizes == grouped.min_cluster_size) & (neighbours == grouped.min_samples)
    assert taken.sum() == 1
    assert agree[taken] >= agree[groups > 1].max() - 0.011


def test_labels_do_not_change_with_the_gain_of_a_position(losses):
    gain = np.random.default_rng(0).uniform(0.5, 2, (40, 50, 1))
    data = losses.signal.data.astype(np.float64)
    settings = {"min_cluster_size": 30, "min_samples": 10}
    one, other = (group_signals(values, **settings) for values in (data, data * gain))
    assert adjusted_rand_index(one.labels, other.labels) > 0.99


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Floats, some negative, with positions not measured, in memory and mapped, and what they are grouped with."""
    data = plasmon_spectra(seed=12).signal.data.astype(np.float32)
    data[3, 4] = np.nan
    data[5, :9] = 0
    data[7, 7] = 3
    data[9, 9, 20:40] = -5
    path = tmp_path_factory.mktemp("stored") / "a.npy"
    np.save(path, data)
    return data, np.load(path, mmap_mode="r"), {"min_cluster_size": 60, "min_samples": 10}


def test_a_memory_map_gives_what_memory_gives(stored):
    data, mapped, settings = stored
    observed = group_signals(mapped, memory="9 MB", **settings)
    expected = group_signals(data, **settings)
    assert any("out of core" in note for note in observed.provenance.notes)
    assert adjusted_rand_index(observed.labels, expected.labels) > 0.995
    assert np.allclose(observed.image.data, expected.image.data)
    assert observed.spread is None
    assert expected.spread is not None
    for result in (observed, expected):
        assert result.n_empty == 11
        assert set(result.labels[~result.measured]) == {-1}
        assert np.count_nonzero(~result.measured) == 11
        assert any("11 of 5120 positions are empty" in note for note in result.provenance.notes)
        assert np.isfinite(result.signals).all()
        assert result.area.sum() + result.noise == pytest.approx(1)


def test_a_sample_is_said_and_agrees_with_the_whole(series, grouped):
    profiles = emcore.image_series(series.stack)
    observed = group_signals(profiles, sample=1500)
    assert any("fitted on 1500 of 3072" in note for note in observed.provenance.notes)
    assert adjusted_rand_index(observed.labels, grouped.labels) > 0.9
    assert observed.noise == pytest.approx(grouped.noise, abs=0.03)


@pytest.mark.parametrize(("method", "number"), [("mixture", 6), ("kmeans", "auto")])
def test_other_methods_find_the_grains_of_a_metal_without_a_deformed_part(method, number):
    sample = deformed_series((40, 50), n_grains=6, deformed=0, seed=12)
    observed = group_signals(emcore.image_series(sample.stack), method, number)
    assert observed.noise == 0
    assert observed.tried is None
    assert adjusted_rand_index(sample.labels, observed.labels) > 0.97


def test_a_number_is_kept_by_k_means(losses):
    observed = group_signals(losses.signal, "kmeans", 7)
    assert (observed.n_clusters, observed.rule, observed.noise) == (7, "given", 0)


@pytest.mark.parametrize("reduce", ["nmf", 4])
def test_other_reductions_find_the_phases(losses, reduce):
    observed = group_signals(losses.signal, reduce=reduce, min_cluster_size=30, min_samples=10)
    inside = losses.labels >= 0
    assert adjusted_rand_index(losses.labels[inside], observed.labels[inside]) > 0.85


def test_noise_alone_is_one_group_and_it_is_said():
    data = np.random.default_rng(0).poisson(50, (12, 15, 40)).astype(np.uint16)
    observed = group_signals(data)
    assert (observed.n_clusters, observed.noise) == (1, 0)
    assert any("nothing stands out of noise" in note for note in observed.provenance.notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_clusters": 3}, "HDBSCAN finds the number"),
        ({"method": "kmeans", "min_samples": 5}, "settings of method='hdbscan'"),
        ({"method": "dbscan"}, "did you mean 'hdbscan'"),
        ({"normalize": "sum"}, "normalize='sum' is not known"),
        ({"reduce": "pca"}, "reduce='pca' is not known"),
        ({"reduce": 5000}, "reduce=5000 is out of range"),
        ({"min_cluster_size": 1}, "min_cluster_size=1 is out of range"),
        ({"sample": 5}, "sample=5 is out of range"),
    ],
)
def test_bad_settings_are_refused_by_name(losses, settings, message):
    with pytest.raises(ValueError, match=message):
        group_signals(losses.signal, **settings)


def test_data_that_cannot_be_grouped_are_refused():
    with pytest.raises(ValueError, match="all 42 profiles are the same"):
        group_signals(np.tile(np.arange(1.0, 10), (6, 7, 1)))
    with pytest.raises(ValueError, match="too few are left"):
        group_signals(np.zeros((4, 5, 30)))
    with pytest.raises(ValueError, match="several channels"):
        group_signals(np.ones((4, 5, 1)))
    with pytest.raises(ValueError, match="Negative values"):
        group_signals(np.random.default_rng(0).normal(size=(6, 6, 20)), normalize="l1")


def test_umap_is_an_extra_that_is_named(losses, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"pip install '.+\[umap\]"):
        group_signals(losses.signal, reduce="umap")


def test_a_result_is_read_back_drawn_and_given_to_hyperspy(grouped, plasmons, tmp_path):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    for result in (grouped, plasmons):
        assert emcore.load_result(result.save(tmp_path / f"{id(result)}.h5")) == result
        titles = [axes.get_title("left") for axes in result.plot().axes]
        assert "Groups, noise; agreement with neighbours" in titles
        assert "Share of the grains' area" in titles
    pytest.importorskip("hyperspy")
    assert plasmons.to_hyperspy()["signals"].axes_manager[-1].units == "eV"


def test_positions_along_a_line_and_without_a_grid_are_grouped(losses, tmp_path):
    pytest.importorskip("matplotlib")
    line = losses.signal.data.reshape(-1, 300)
    observed = group_signals(line, min_cluster_size=30, min_samples=10)
    assert observed.labels.shape == (2000,)
    assert observed.grains is None
    assert observed.plot().axes


def test_the_verbs_write_reports_and_say_what_was_found(losses, tmp_path, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    folder = tmp_path / "out"
    np.save(tmp_path / "spectra.npy", losses.signal.data)
    common = ["--output", str(folder), "--min-cluster-size", "30", "--min-samples", "10"]
    assert main(["groups", str(tmp_path / "spectra.npy"), *common]) == 0
    said = capsys.readouterr().out
    assert "of the positions are in no group" in said
    assert "not cut by the border" in said
    assert {path.name for path in folder.iterdir()} == {"spectra.groups.h5", "spectra.groups.pdf"}
    np.save(tmp_path / "stack.npy", deformed_series((24, 32), n_angles=20, n_grains=4, seed=1).stack.data)
    assert main(["series", str(tmp_path / "stack.npy"), "--register", *common]) == 0
    assert "registered" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["groups", "a.npy", "--method", "dbscan"])


def test_real_spectra_and_a_real_series_are_grouped(data_folder):
    for name in ("eels_si.npz", "cases/eels_energy_first.dm3"):
        observed = group_signals(data_folder / name)
        assert observed.n_clusters >= 2
        assert observed.noise < 0.4
        assert np.isfinite(observed.peaks).all()
    profiles = emcore.image_series(data_folder / "tilt_series.dm3", register=True)
    assert profiles.axes[-1].size == 91
    observed = group_signals(replace(profiles, data=profiles.data[::2, ::2], axes=_every_other(profiles.axes)))
    # The needle goes through the middle, vacuum is beside it.
    assert observed.labels[0, 0] == observed.labels[-1, 0] == 0


def _every_other(axes):
    y, x, along = axes
    return (
        Axis("y", -(-y.size // 2), 2 * y.scale, units=y.units),
        Axis("x", -(-x.size // 2), 2 * x.scale, units=x.units),
        along,
    )
