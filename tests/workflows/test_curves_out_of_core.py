"""Curves that are left where they are stored: the same groups as in memory, in few passes, after a kill too."""

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.datasets import iv_curves
from emcore.outofcore.sample import sample_of
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored
from emcore.scans.curve_passes import group_statistics, percentile_limits
from emcore.workflows.curves import cluster_curves

pytestmark = pytest.mark.filterwarnings("ignore:curves (has|is stored in) chunks")


@pytest.fixture(scope="module")
def curves():
    """With positions that were not measured, and some curves that end early."""
    curves = iv_curves(shape=(40, 50)).curves.copy()
    curves[3, 5:9], curves[30, 7, 12], curves[:9, 20, 190:] = 0, np.nan, np.nan
    return curves


@pytest.fixture
def small(monkeypatch, nothing_is_loaded):
    """What is stored is visited in many blocks, and a sample is less than all."""
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", 1 << 17)
    monkeypatch.setattr("emcore.outofcore.sample._BYTES", 300 * 4 * 200)
    monkeypatch.setattr("emcore.outofcore.sample._LEAST", 300)


def close(observed, here):
    assert np.array_equal(observed.labels, here.labels)
    assert (observed.reason, observed.rule, observed.n_empty) == (here.reason, here.rule, here.n_empty)
    assert observed.inertia == pytest.approx(here.inertia, rel=1e-5)
    for name in ("signals", "spread", "low", "high", "area", "x", "r_squared", "conductance", "conductance_spread"):
        np.testing.assert_allclose(getattr(observed, name), getattr(here, name), rtol=1e-5, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(observed.image.data, here.image.data, rtol=1e-6)
    np.testing.assert_allclose(observed.mean.data, here.mean.data, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask"])
@pytest.mark.parametrize("options", [{"n_clusters": 3}, {"normalize": "l2"}, {"crop": "common"}])
def test_what_is_left_where_it_is_stored_gives_the_same(curves, small, passes, stored_as, capsys, kind, options):
    here = cluster_curves(curves, **options)
    del passes[:]
    observed = cluster_curves(stored_as(kind, curves), memory="3 MiB", **options)
    assert "emcore: curves of 2000 x 200 float32 is visited in " in capsys.readouterr().err
    [note] = [note for note in observed.provenance.notes if "out of core" in note]
    assert f"read {len(passes)} times, 1.6 MiB each, in blocks within 3 MiB" in note
    assert len(passes) <= 12
    close(observed, here)


def test_all_curves_of_a_sample_that_holds_them_are_read_twice(curves, nothing_is_loaded, passes, stored_as, same):
    here = cluster_curves(curves, 3)
    del passes[:]
    observed = cluster_curves(stored_as("map", curves), 3)
    assert passes == ["_survey", "_groups"]
    assert same(observed, here)


def test_a_sample_of_few_measured_positions_is_taken_anew(curves, small, passes, stored_as):
    stopped = curves.copy()
    stopped[6:] = 0
    here = cluster_curves(stopped, 3)
    del passes[:]
    observed = cluster_curves(stored_as("map", stopped), 3, memory="3 MiB")
    assert passes[:2] == ["_survey", "_taken"]
    close(observed, here)


@pytest.mark.parametrize("killed_in", range(9))
def test_a_job_that_was_killed_goes_on_to_the_same_bits(
    curves, small, tmp_path, stored_as, killing, passes, same, killed_in
):
    mapped = stored_as("map", curves)
    options = {"memory": "3 MiB", "crop": "common" if killed_in % 2 else None}
    whole = cluster_curves(mapped, 3, **options)
    made = killing(1 + killed_in % (read := len(passes)))
    with pytest.raises(KeyboardInterrupt):
        cluster_curves(mapped, 3, checkpoint=tmp_path / "job.npz", **options)
    again = cluster_curves(mapped, 3, checkpoint=tmp_path / "job.npz", **options)
    assert len(made) == read + 1  # the pass that was killed, twice
    assert same(again, whole)
    with pytest.raises(ValueError, match="another job: n_clusters"):
        cluster_curves(mapped, 4, checkpoint=tmp_path / "job.npz", **options)


@pytest.mark.parametrize("memory", ["2 MiB", "200 KiB"])
@pytest.mark.parametrize("dtype", ["f4", "i2", "u1", "f8"])
def test_statistics_of_groups_are_those_of_numpy_whatever_the_budget(memory, dtype, monkeypatch):
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", 1 << 12)
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(1500, 12)) * 100 if dtype != "u1" else rng.poisson(0.8, (1500, 12))).astype(dtype)
    labels = rng.choice(3, 1500, p=[0.8, 0.199, 0.001]).astype(np.int32)
    labels[:7], labels[7:9] = -1, 2
    source = Source([Stored(rows)])
    source.budget = memory
    percentiles = [0.0, 0.05, 0.5, 0.7, 0.95, 1.0]
    x, taken = np.sort(rng.normal(size=12)), sample_of(np.arange(1500), 700, 0)
    limits = percentile_limits(rows[taken], labels[taken], 3, percentiles)
    found = group_statistics(source, labels, 3, percentiles, x, limits)
    assert (found.passes > 1) == (memory == "200 KiB")
    for i in range(3):
        group = rows[labels == i].astype(float)
        np.testing.assert_allclose(found.means[i], group.mean(axis=0), rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(found.deviations[i], group.std(axis=0), rtol=1e-6)
        np.testing.assert_allclose(found.percentiles[:, i], np.quantile(group, percentiles, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.slopes, np.polyfit(x, rows.astype(float).T, 1)[0], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_percentiles_that_a_sample_misleads_of_are_found_in_another_pass(dtype):
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(2000, 5)) * 100).astype(dtype)
    rows[:1000, 3] += 500  # of which the sample knows nothing
    labels, taken = np.zeros(2000, np.int32), np.arange(1000, 2000)
    source = Source([Stored(rows)])
    limits = percentile_limits(rows[taken], labels[taken], 1, [0.05, 0.95])
    found = group_statistics(source, labels, 1, [0.05, 0.95], np.arange(5.0), limits)
    assert found.passes == 2
    np.testing.assert_allclose(
        found.percentiles[:, 0], np.quantile(rows.astype(float), [0.05, 0.95], axis=0), rtol=1e-12
    )


def test_a_sample_is_of_all_positions_alike():
    taken = sample_of(np.arange(10_000), 500, 0)
    assert (np.diff(taken) > 0).all()
    assert np.bincount(taken // 1000, minlength=10).min() > 25


def test_too_little_memory_and_short_curves_are_told(curves, small, stored_as):
    with pytest.raises(ValueError, match=r"memory=100 KiB is too little for curves: the smallest possible is \d"):
        cluster_curves(stored_as("map", curves), 3, memory="100 KiB")
    short = curves.copy()
    short[:30, :, 150:] = np.nan
    with pytest.raises(ValueError, match=r"15\d\d of 2000 curves end early.*the 150 points .* crop='common'"):
        cluster_curves(stored_as("map", short), 3, memory="3 MiB")


def test_lazy_data_that_take_half_of_the_budget_are_loaded(curves, stored_as, same):
    observed = cluster_curves(stored_as("dask", curves), 3)
    assert same(observed, cluster_curves(curves, 3))
    assert not any("out of core" in note for note in observed.provenance.notes)


def test_a_lazy_signal_of_hyperspy_is_visited_as_it_is(curves, small):
    hs = pytest.importorskip("hyperspy.api")
    observed = cluster_curves(hs.signals.Signal1D(curves).as_lazy(), 3, memory="3 MiB")
    close(observed, cluster_curves(curves, 3))


def test_the_command_takes_a_budget_and_a_checkpoint(curves, small, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("film.npy", curves)
    assert main(["curves", "film.npy", "--clusters", "3", "--memory", "3 MiB", "--checkpoint", "job.npz"]) == 0
    said = capsys.readouterr()
    assert "predicted peak memory" in said.err
    assert "data out of core, read" in said.out
    assert (tmp_path / "job.npz").exists()
    assert emcore.load_result("film.curves.h5").n_clusters == 3
