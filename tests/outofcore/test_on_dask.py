"""Dask arrays give what slabs and memory give, on every scheduler, whatever happens to the workers."""

import os
import signal
import threading
import time
import warnings
from contextlib import nullcontext

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

import emcore
from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans
from emcore.core.memory import check_memory
from emcore.core.signals import Axis, Signal
from emcore.datasets import eds_phases
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.nmf.fit import nmf
from emcore.methods.preprocessing import Recipe, prepare
from emcore.outofcore import dask_tasks, on_dask, sources
from emcore.outofcore.blocks import CHUNKS_AT_ONCE, joined
from emcore.outofcore.engine import begin
from emcore.outofcore.moments import mean_and_squares
from emcore.outofcore.open import as_source
from emcore.workflows.unmix import unmix

SHAPE = (40, 20, 60)
MODELS = {
    "pca": (PCA(4), ["components_", "singular_values_"]),
    "randomised pca": (PCA(3, svd_solver="randomized"), ["components_", "singular_values_"]),
    "hals": (NMF(3, max_iter=12, tol=0), ["components_", "reconstruction_err_"]),
    "mu": (NMF(3, solver="mu", max_iter=12, tol=0), ["components_", "reconstruction_err_"]),
    "kl": (NMF(3, solver="mu", loss="kullback-leibler", max_iter=12, tol=0), ["components_", "reconstruction_err_"]),
    "pure": (NMF(3, init="spa", max_iter=3, tol=0), ["components_"]),
    "k-means": (KMeans(5, max_iter=8), ["cluster_centers_", "labels_", "inertia_"]),
    "fuzzy": (FuzzyCMeans(3, max_iter=6, tol=0), ["cluster_centers_", "memberships_"]),
    "ellipsoids": (GustafsonKessel(2, max_iter=4, tol=0), ["covariances_", "memberships_"]),
}


@pytest.fixture(scope="module")
def cube():
    rng = np.random.default_rng(0)
    spectra = rng.gamma(0.5, 1, (4, SHAPE[2]))
    return (rng.poisson(rng.dirichlet([0.3] * 4, SHAPE[:2]) @ spectra * 20) + 1).astype("u2")


def data_for(name, cube):
    return np.ascontiguousarray(cube[:, :, :6]) if name == "ellipsoids" else cube


def fitted(name, data):
    return clone(MODELS[name][0]).fit(data)


def values(name, data):
    """What a model finds in the data, and makes of each of its rows."""
    model = fitted(name, data)
    found = [np.asarray(getattr(model, attribute), float) for attribute in MODELS[name][1]]
    of_rows = getattr(model, "transform", None) or model.predict_proba
    return [*found, np.asarray(of_rows(data), float)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scheduler", ["threads", "sync"])
@pytest.mark.parametrize("name", MODELS)
def test_dask_finds_what_memory_finds_and_slabs_of_the_same_rows_the_same_bits(name, scheduler, cube, monkeypatch):
    data = data_for(name, cube)
    with dask.config.set(scheduler=scheduler):
        found = values(name, da.from_array(data, chunks=(7, 20, -1)))
        tiles = values(name, da.from_array(data, chunks=(16, 7, -1)))
    expected = values(name, data.reshape(-1, data.shape[2]))
    for a, b, c in zip(found, expected, tiles, strict=True):
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()
        assert np.abs(c - b).max() <= 1e-5 * np.abs(b).max()
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", 7 * 20 * data.shape[2] * 2)
    slabs = values(name, as_source(_Stored(data)))
    assert all(np.array_equal(a, b) for a, b in zip(found, slabs, strict=True))


class _Stored:
    """What a Zarr array is, in memory."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.ndim, self.chunks = (
            data,
            data.shape,
            data.dtype,
            3,
            (7, 20, data.shape[2]),
        )

    def __getitem__(self, where):
        return self.data[where]


_Stored.__module__ = "zarr.of_tests"


@pytest.mark.parametrize("name", ["hals", "k-means", "pca"])
def test_the_number_of_threads_changes_no_bit(name, cube):
    found = []
    for workers in (1, 3):
        with dask.config.set(scheduler="threads", num_workers=workers):
            found.append(values(name, da.from_array(cube, chunks=(7, 9, -1))))
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_rows_stay_in_the_order_of_the_scan(cube):
    data = da.from_array(cube, chunks=(16, 7, -1))
    rows = cube.reshape(-1, SHAPE[2])
    centers = rows[[3, 70, 500]].astype(float)
    weights = np.random.default_rng(0).random(len(rows))
    found = kmeans(data, 3, init=centers, max_iter=2, sample_weight=weights)
    assert np.array_equal(found.labels, kmeans(rows, 3, init=centers, max_iter=2, sample_weight=weights).labels)
    source = as_source(data).cut()
    assert np.array_equal(source.take([0, 21, 799]), rows[[0, 21, 799]])
    numbers = np.arange(800).reshape(SHAPE[:2])
    for block in source.blocks:
        inside = numbers[block.where].reshape(-1)
        assert [source.row_of(block.index, i) for i in range(block.rows)] == inside.tolist()


def test_a_split_signal_axis_is_rechunked_and_said(cube):
    with pytest.warns(RuntimeWarning, match="signal axis in 3 chunks.*rechunked to"):
        found = KMeans(3, max_iter=3).fit(da.from_array(cube, chunks=(10, 20, 20)))
    assert np.array_equal(found.labels_, KMeans(3, max_iter=3).fit(cube.reshape(-1, SHAPE[2])).labels_)


def test_prepared_rows_are_prepared_on_the_workers(cube):
    rows, keep = cube.reshape(-1, SHAPE[2]), np.arange(SHAPE[2]) > 5
    chosen = np.flatnonzero(np.arange(len(rows)) % 20 > 8)
    recipe = {"keep": keep, "normalize": "sum", "scale": np.linspace(1, 2, keep.sum()), "rows": chosen}
    lazy = prepare(
        [
            Recipe(da.from_array(cube, chunks=(7, 9, -1)), **recipe),
            Recipe(da.from_array(cube, chunks=(40, 20, -1)), rows=chosen),
        ]
    )
    held = prepare([Recipe(rows, **recipe), Recipe(rows, rows=chosen)])
    assert len(lazy.cut().blocks) == 12
    assert lazy.shape == held.shape
    found, expected = nmf(lazy, 3, max_iter=5), nmf(held, 3, max_iter=5)
    assert np.abs(found.H - expected.H).max() < 1e-5 * expected.H.max()
    assert np.abs(found.W - expected.W).max() < 1e-5 * expected.W.max()
    with pytest.raises(ValueError, match="make all Dask arrays, or none"):
        prepare([Recipe(da.from_array(cube)), Recipe(rows)])


def test_bad_dask_arrays_are_named(cube):
    bad = cube.astype("f4")
    bad[33, 4, 5] = np.inf
    with pytest.raises(ValueError, match=r"first at \[33, 4, 5\]"):
        PCA(2).fit(da.from_array(bad, chunks=(7, 6, -1)))
    with pytest.raises(TypeError, match="complex128"):
        PCA(2).fit(da.from_array(cube * 1j))
    with pytest.raises(ValueError, match="rows are needed"):
        PCA(2).fit(da.ones(7))
    with pytest.raises(ValueError, match="empty"):
        PCA(2).fit(da.ones((0, 4)))
    some = da.from_array(cube.reshape(-1, SHAPE[2]), chunks=(100, -1))
    with pytest.raises(ValueError, match="unknown size"):
        PCA(2).fit(some[some[:, 0] > 3])


@pytest.mark.parametrize("name", ["pca", "hals", "k-means", "fuzzy"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_chunks_without_rows_are_passed_over(name, cube, tmp_path):
    rows = cube.reshape(-1, SHAPE[2])
    lazy = da.from_array(rows, chunks=(100, -1))
    some = lazy[lazy[:, 0] > np.sort(rows[:100, 0])[-1]].compute_chunk_sizes()
    gaps = da.concatenate([some[:0], some, lazy[:300], lazy[:0]])
    assert 0 in gaps.chunks[0]
    model = clone(MODELS[name][0]).set_params(checkpoint=tmp_path / "c.npz")
    found, expected = model.fit(gaps), fitted(name, gaps.compute())
    for attribute in MODELS[name][1]:
        a, b = (np.asarray(getattr(each, attribute), float) for each in (found, expected))
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def test_an_error_about_a_row_says_of_which_chunk_it_is(cube):
    zeros = cube.copy()
    zeros[16, 8] = 0
    model = KMeans(2, metric="cosine", init=np.ones((2, SHAPE[2])))
    with pytest.raises(ValueError, match=r"row 1 is zero.*counted in the chunk of X that begins at \[16, 7\]\)"):
        model.fit(da.from_array(zeros, chunks=(16, 7, -1)))


def _computed(source):
    """The rows of the blocks of a source of one part."""
    return [joined(chunks) for chunks in dask.compute(*(block.chunks[0] for block in source.blocks))]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=9),
    st.lists(st.integers(1, 4), min_size=1, max_size=9),
    st.integers(1, 90),
)
def test_small_chunks_are_joined_to_blocks_of_no_more_rows_than_are_allowed(lines, columns, rows):
    scan = np.arange(sum(lines) * sum(columns) * 2, dtype=np.uint16).reshape(sum(lines), sum(columns), 2)
    source = as_source(da.from_array(scan, chunks=(tuple(lines), tuple(columns), 2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "_CHUNK_BLOCKS", 1)
        patch.setattr(sources, "_CHUNK_BYTES", 4 * rows)
        source = source.cut()
    visited = np.zeros(scan.shape[:2], int)
    for block, found in zip(source.blocks, _computed(source), strict=True):
        np.testing.assert_array_equal(found, scan[block.where])
        assert block.rows == found.shape[0] * found.shape[1] <= max(rows, max(lines) * max(columns))
        visited[block.where] += 1
    assert (visited == 1).all()
    most = max(min(rows, visited.size) // (max(lines) * max(columns)), 1)  # chunks of a block
    assert len(source.blocks) <= 4 * -(-len(lines) * len(columns) // most)


class _Noted:
    """Something stored, which notes how much of it is read at a time."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.ndim, self.read = data, data.shape, data.dtype, data.ndim, []

    def __getitem__(self, where):
        self.read.append(self.data[where].nbytes)
        return self.data[where]


@pytest.mark.parametrize("chunks", [(20, 20, 60), (40, 20, 60), (40, 7, 60)])
def test_chunks_larger_than_the_budget_are_cut_along_the_scan_where_they_are_read_and_said(chunks, cube):
    stored = _Noted(cube)
    data = da.from_array(stored, chunks=chunks)
    with pytest.warns(RuntimeWarning, match=r"X has chunks of .*, more than memory=.* it was rechunked to \("):
        source = as_source(data).cut("30 kB", per_row=4, fixed=1000)
    assert source.peak <= 30_000
    stored.read.clear()
    found = _computed(source)
    assert max(stored.read) <= (30_000 - 4200) // CHUNKS_AT_ONCE
    assert sum(stored.read) == cube.nbytes  # once
    for block, rows in zip(source.blocks, found, strict=True):
        assert np.array_equal(rows, cube[block.where])
    assert np.array_equal(source.take([0, 21, 799]), cube.reshape(800, -1)[[0, 21, 799]])


def test_chunks_that_something_makes_are_cut_when_they_are_made_and_lines_too_long_within(cube):
    made = []

    def double(block):
        made.append(block.shape)
        return 2 * block

    data = da.from_array(cube, chunks=(20, 20, -1)).map_blocks(double, dtype=cube.dtype, meta=cube[:0])
    with pytest.warns(RuntimeWarning, match=r"rechunked to \(1, 5, 60\), each made whole and then cut"):
        source = as_source(data).cut(120 * 6 * CHUNKS_AT_ONCE)
    for block, rows in zip(source.blocks, _computed(source), strict=True):
        assert np.array_equal(rows, 2 * cube[block.where])
    assert made == [(20, 20, 60)] * 2


def test_a_budget_cuts_chunks_of_a_fit_and_one_that_is_too_little_names_the_least(cube):
    data = da.from_array(cube[:8, :5], chunks=(8, 5, -1))
    expected = KMeans(3, max_iter=4).fit(cube[:8, :5].reshape(-1, SHAPE[2]))
    with pytest.raises(ValueError, match=r"too little for X: the smallest possible is [0-9.]+ KiB") as told:
        KMeans(3, memory=2000).fit(data)
    least = str(told.value).partition("smallest possible is ")[2].partition(" (")[0]
    for memory in (least, check_memory(least) + 5000):
        with pytest.warns(RuntimeWarning, match="rechunked"):
            found = KMeans(3, max_iter=4, memory=memory).fit(data)
        assert np.array_equal(found.labels_, expected.labels_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        KMeans(3, max_iter=1, memory="2 GiB").fit(data)


@pytest.mark.parametrize("rows", [[799], [0, 400], [3, 4]])
def test_blocks_without_a_chosen_row_are_not_visited(rows, cube, monkeypatch):
    monkeypatch.setattr(sources, "_CHUNK_BLOCKS", 40)  # more than one go of tasks has
    monkeypatch.setattr(on_dask, "_WAVE", 4)
    monkeypatch.setattr(on_dask, "_HERE", 0)
    chosen = np.array(rows)
    source = as_source(da.from_array(cube, chunks=(1, 20, -1))).at(chosen)
    with dask.config.set(scheduler="threads"), emcore.progress(lambda done, total: None):
        mean, _ = mean_and_squares(begin(source, "moments", None, None, {}, 0, 0))
    np.testing.assert_allclose(mean, cube.reshape(800, -1)[chosen].mean(axis=0))


def test_progress_is_told_while_blocks_are_done(cube, monkeypatch):
    monkeypatch.setattr("emcore.outofcore.engine.TICK", 0.0)
    told = []
    with dask.config.set(scheduler="threads"), emcore.progress(lambda *counts: told.append(counts)):
        kmeans(da.from_array(cube, chunks=(5, 20, -1)), 2, init=np.eye(2, SHAPE[2]), max_iter=1)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (1600, 1600)
    assert len(told) > 8


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(**options)
        client = distributed.Client(cluster)
        yield client
        client.close()
        cluster.close()


pytestmark = [
    pytest.mark.usefixtures("nothing_is_loaded"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("name", ["pca", "hals", "kl", "k-means", "fuzzy", "ellipsoids"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_two_worker_processes_find_the_same_bits_as_threads(name, cube, client):
    data = da.from_array(data_for(name, cube), chunks=(11, 20, -1))
    found = values(name, data)
    with dask.config.set(scheduler="threads"):
        expected = values(name, data)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("name", "lines", "most"), [("k-means", 1, 8), ("hals", 3, 2), ("randomised pca", 7, 1)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_blocks_that_are_visited_together_or_kept_change_no_bit(name, lines, most, cube, client, monkeypatch):
    data = da.from_array(data_for(name, cube), chunks=(lines, 20, -1))
    monkeypatch.setattr(on_dask, "_TOGETHER", 0)
    monkeypatch.setattr(on_dask, "_KEPT", 0.0)
    alone = values(name, data)
    sizes = []
    monkeypatch.setattr(on_dask, "_TOGETHER", 256 << 20)
    monkeypatch.setattr(on_dask, "_KEPT", 0.5)
    cut = on_dask._batches
    monkeypatch.setattr(on_dask, "_batches", lambda *of: sizes.append(max(map(len, cut(*of)))) or cut(*of))
    together = values(name, data)
    assert max(sizes) == most
    with dask.config.set(scheduler="threads"):
        threads = values(name, data)
    for found in (together, threads):
        assert all(np.array_equal(a, b) for a, b in zip(found, alone, strict=True))


def test_blocks_are_kept_once_for_all_rows_and_for_some(cube, client):
    lazy = Signal(
        da.from_array(cube, chunks=(2, 20, -1)),
        tuple(Axis(name, n, navigation=name != "e") for name, n in zip("yxe", SHAPE, strict=True)),
    )
    found = emcore.group_signals(lazy, method="kmeans", n_clusters=3)
    expected = emcore.group_signals(Signal(cube, lazy.axes), method="kmeans", n_clusters=3)
    assert np.array_equal(found.labels, expected.labels)
    source = as_source(lazy.data)
    kept = source.cut("1 GiB")
    some = source.at(np.arange(0, 100, 3)).cut("1 GiB")
    whole, part = (on_dask._kept(each, on_dask._batches(each, client, True), client) for each in (kept, some))
    assert part is whole
    assert len(source.on_workers) == 1


def test_what_something_makes_is_made_once_where_workers_have_room(cube, client, tmp_path):
    made = tmp_path / "made"

    def counted(block):
        with made.open("a") as file:
            file.write("x")
        return block

    data = da.from_array(cube, chunks=(10, 20, -1)).map_blocks(counted, dtype=cube.dtype, meta=cube[:0])
    nmf(data, 3, init="random", max_iter=6, tol=0)
    assert len(made.read_text()) == 4


@pytest.mark.posix
@pytest.mark.parametrize("straight", [0, 1 << 30])
def test_a_worker_that_is_killed_does_not_change_the_result(straight, cube, client, monkeypatch):
    # What belongs to rows is sent so, or by way of the scheduler.
    monkeypatch.setattr(dask_tasks, "_STRAIGHT", straight)
    monkeypatch.setattr("emcore.outofcore.engine.TICK", 0.0)

    def slowly(block):  # a function of the test, that goes to workers which cannot import this file
        time.sleep(0.05)
        return block

    slow = da.from_array(cube, chunks=(11, 20, -1)).map_blocks(slowly, dtype=cube.dtype)
    victims, told = list(client.run(os.getpid).values()), []

    def kill(done, total):
        told.append(done)
        if len(told) == 5:
            os.kill(victims[0], signal.SIGKILL)

    with emcore.progress(kill):
        found = nmf(slow, 3, init="random", max_iter=6, tol=0)
    with dask.config.set(scheduler="threads"):
        expected = nmf(da.from_array(cube, chunks=(11, 20, -1)), 3, init="random", max_iter=6, tol=0)
    assert len(told) > 5
    assert victims[0] not in client.run(os.getpid).values()
    assert np.array_equal(found.H, expected.H)
    assert np.array_equal(found.W, expected.W)


@pytest.fixture(scope="module")
def phases():
    return eds_phases(shape=(30, 24), minority=0.05, counts=400, zero_peak=50).signal


def phases_of(result):
    maps = result.maps, result.spectra, result.fraction, result.evr
    return *maps, result.residual_map, result.residual_spectrum, result.image.data, result.mean.data


def assert_same_phases(found, expected):
    assert (found.n_components, found.rule, found.reason) == (expected.n_components, expected.rule, expected.reason)
    for a, b in zip(phases_of(found), phases_of(expected), strict=True):
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


@pytest.mark.parametrize("options", [{}, {"navigation_mask": "vacuum", "blocks": (15, 12)}])
@pytest.mark.parametrize("where", ["threads", "two workers"])
def test_unmixing_finds_what_it_finds_in_memory(where, options, phases, client):
    lazy = Signal(da.from_array(phases.data, chunks=(8, 24, -1)), phases.axes)
    with dask.config.set(scheduler="threads") if where == "threads" else nullcontext():
        found = unmix(lazy, **options)
    assert_same_phases(found, unmix(phases, **options))


@pytest.mark.posix
def test_a_worker_that_is_killed_changes_no_phase(phases, client):
    lazy = Signal(da.from_array(phases.data, chunks=(8, 24, -1)), phases.axes)
    victim, told = next(iter(client.run(os.getpid).values())), []

    def kill(done, total):
        if done > 0 and not told:
            os.kill(victim, signal.SIGKILL)
            told.append(done)

    with emcore.progress(kill):
        found = unmix(lazy)
    assert told
    assert victim not in client.run(os.getpid).values()
    with dask.config.set(scheduler="threads"):
        expected = unmix(lazy)
    for a, b in zip(phases_of(found), phases_of(expected), strict=True):
        assert np.array_equal(a, b)


def test_errors_of_workers_come_back_and_the_cluster_goes_on(cube, client):
    bad = cube.astype("f4")
    bad[33, 4, 5] = np.nan
    with pytest.raises(ValueError, match=r"first at \[33, 4, 5\]"):
        KMeans(2).fit(da.from_array(bad, chunks=(7, 6, -1)))
    found = []
    thread = threading.Thread(target=lambda: found.append(KMeans(2, max_iter=2).fit(da.from_array(cube)).labels_))
    thread.start()
    thread.join()
    assert np.array_equal(found[0], KMeans(2, max_iter=2).fit(cube.reshape(-1, SHAPE[2])).labels_)
