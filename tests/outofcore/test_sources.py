"""What is out of core gives what it gives in memory, wherever it lies, and says what is wrong with it."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import emcore
from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans
from emcore.core.memory import check_memory, in_words
from emcore.core.signals import Axis, Signal
from emcore.methods.kmeans.fit import distances, kmeans, nearest
from emcore.methods.nmf.fit import nmf, nmf_loss, nmf_maps
from emcore.methods.pca.fit import pca, scores
from emcore.methods.preprocessing import Recipe, mean_and_variance, prepare
from emcore.outofcore.open import as_source, open_rows
from emcore.outofcore.sources import Source
from emcore.outofcore.stored import Stored, _populated

SHAPE = (30, 20, 120)
MODELS = {
    "pca": (PCA(4, svd_solver="full"), ["components_", "singular_values_", "mean_"], ""),
    "randomised pca": (PCA(3, svd_solver="randomized"), ["components_", "singular_values_"], ""),
    "uncentred pca": (PCA(3, center=False), ["components_", "singular_values_"], ""),
    "hals": (NMF(3, max_iter=30, tol=1e-3), ["components_", "reconstruction_err_"], ""),
    "mu": (NMF(3, solver="mu", max_iter=20, alpha_W=1e-3, l1_ratio=0.5), ["components_", "reconstruction_err_"], ""),
    "kl": (
        NMF(3, solver="mu", loss="kullback-leibler", init="random", random_state=0, max_iter=20),
        ["components_"],
        "",
    ),
    "pure": (NMF(3, init="spa", max_iter=5, tol=0), ["components_", "reconstruction_err_"], ""),
    "k-means": (KMeans(5), ["cluster_centers_", "labels_", "inertia_"], ""),
    "cosine": (KMeans(4, metric="cosine", init="random", n_init=2), ["cluster_centers_", "labels_"], ""),
    "few features": (KMeans(4), ["cluster_centers_", "labels_", "inertia_"], "few"),
    "fuzzy": (FuzzyCMeans(3, max_iter=15), ["cluster_centers_", "memberships_", "objective_"], ""),
    "ellipsoids": (GustafsonKessel(2, max_iter=8, gamma=0.1), ["covariances_", "memberships_", "objective_"], "few"),
}


@pytest.fixture(scope="module")
def cube():
    rng = np.random.default_rng(0)
    spectra = rng.gamma(0.5, 1, (4, SHAPE[2]))
    shares = rng.dirichlet([0.3] * 4, SHAPE[:2])
    return (rng.poisson(shares @ spectra * 20) + 1).astype("u2")


@pytest.fixture(scope="module")
def stored(cube, tmp_path_factory):
    """The same data in every place; "few" the same with few features."""
    folder, found = tmp_path_factory.mktemp("stored"), {}
    for few, data in (("", cube), ("few", np.ascontiguousarray(cube[:, :, :8].astype("f4")))):
        np.save(folder / f"map{few}.npy", data)
        with h5py.File(folder / f"data{few}.h5", "w") as file:
            file.create_dataset("chunked", data=data, chunks=(4, 7, data.shape[2]), compression="gzip")
            file.create_dataset("plain", data=data)
        file = h5py.File(folder / f"data{few}.h5", "r")
        array = zarr.create_array(
            folder / f"data{few}.zarr", shape=data.shape, chunks=(7, 20, data.shape[2]), dtype=data.dtype
        )
        array[:] = data
        found |= {
            ("map", few): np.load(folder / f"map{few}.npy", mmap_mode="r"),
            ("HDF5 in chunks", few): file["chunked"],
            ("HDF5 in one piece", few): file["plain"],
            ("Zarr", few): array,
        }
    yield found
    for file in list(h5py.h5f.get_obj_ids(types=h5py.h5f.OBJ_FILE)):
        file.close()


def in_blocks(model, budget=None):
    """A clone that may use so little memory that data are visited in several blocks."""
    from sklearn.base import clone

    return clone(model).set_params(memory=budget)


def least(model, data):
    """The smallest budget possible and some more, so that there are a few blocks."""
    with pytest.raises(ValueError, match="the smallest possible is") as error:
        in_blocks(model, 1).fit(data)
    words = str(error.value).split("the smallest possible is ")[1].split(" (")[0]
    return check_memory(words.replace(" bytes", "")) + data.nbytes // 2


def assert_equal(found, expected, names, tolerance=1e-5):
    for name in names:
        a, b = (np.asarray(getattr(model, name), float) for model in (found, expected))
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max(), name


@pytest.fixture(scope="module")
def expected(cube):
    known = {}

    def fit(name):
        if name not in known:
            model, _, few = MODELS[name]
            data = cube[:, :, :8].astype("f4") if few else cube
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known[name] = in_blocks(model).fit(data.reshape(-1, data.shape[2]))
        return known[name]

    return fit


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("place", ["map", "HDF5 in chunks", "HDF5 in one piece", "Zarr"])
@pytest.mark.parametrize("name", MODELS)
def test_every_estimator_finds_the_same_wherever_the_data_are(name, place, stored, expected, monkeypatch):
    model, names, few = MODELS[name]
    data = as_source(stored[place, few])  # which is visited in blocks however small it is
    blocks = []
    monkeypatch.setattr(Source, "load", lambda self, block, load=Source.load: blocks.append(block) or load(self, block))
    found = in_blocks(model, least(model, data)).fit(data)
    assert len({block.index for block in blocks}) > 2
    assert_equal(found, expected(name), names)
    if hasattr(found, "n_iter_"):
        assert found.n_iter_ == expected(name).n_iter_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["pca", "hals", "k-means", "fuzzy"])
def test_what_a_fitted_model_says_of_stored_rows_is_what_it_says_in_memory(name, stored, expected, cube):
    rows, model = cube.reshape(-1, SHAPE[2]), expected(name)
    model.memory = 600_000
    for method in ("transform", "predict", "predict_proba", "score"):
        if hasattr(model, method) and not (name in ("pca", "hals") and method == "score"):
            found = getattr(model, method)(as_source(stored["HDF5 in chunks", ""]))
            np.testing.assert_allclose(found, getattr(model, method)(rows), rtol=1e-5, atol=1e-5)
    model.memory = None


def test_functions_take_what_is_stored(stored, cube):
    rows, data, memory = cube.reshape(-1, SHAPE[2]), as_source(stored["Zarr", ""]), 600_000
    found = pca(data, 3, memory="2 MB", solver="exact", weights=np.linspace(1, 2, SHAPE[2]))
    expected = pca(rows, 3, solver="exact", weights=np.linspace(1, 2, SHAPE[2]))
    np.testing.assert_allclose(found.singular_values, expected.singular_values, rtol=1e-9)
    np.testing.assert_allclose(scores(data, expected), scores(rows, expected), rtol=1e-6)
    for sweeps in (1, 4):
        options = {"max_iter": 10, "weights": np.linspace(1, 2, SHAPE[2]), "inner_sweeps": sweeps}
        W, H, _, loss = nmf(data, 3, memory=memory, **options)
        W2, H2, _, loss2 = nmf(rows, 3, **options)
        np.testing.assert_allclose(W @ H, W2 @ H2, rtol=1e-4, atol=1e-4)
        assert loss == pytest.approx(loss2, rel=1e-6)
    for name in ("frobenius", "kullback-leibler"):
        np.testing.assert_allclose(
            nmf_maps(data, H, loss=name, memory=memory), nmf_maps(rows, H, loss=name), rtol=1e-5, atol=1e-5
        )
        assert nmf_loss(data, W, H, loss=name, memory=memory) == pytest.approx(
            nmf_loss(rows, W, H, loss=name), rel=1e-9
        )
    centers, weights = rows[:3].astype(float), np.random.default_rng(0).random(len(rows))
    labels, inertia = nearest(data, centers, sample_weight=weights, memory=memory)
    labels2, inertia2 = nearest(rows, centers, sample_weight=weights)
    assert np.array_equal(labels, labels2)
    assert inertia == pytest.approx(inertia2, rel=1e-12)
    assert np.array_equal(distances(data, centers, memory=memory), distances(rows, centers))
    found = kmeans(data, 4, sample_weight=weights, memory=memory)
    assert np.array_equal(found.labels, kmeans(rows, 4, sample_weight=weights).labels)
    for a, b in zip(mean_and_variance(data), mean_and_variance(rows), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_empty_clusters_take_the_farthest_rows_of_all_blocks(stored, cube):
    rows = cube.reshape(-1, SHAPE[2])
    start = np.vstack([rows[:2], rows[:2] + 5000.0])
    for metric in ("euclidean", "cosine"):
        found = kmeans(as_source(stored["map", ""]), 4, init=start, metric=metric, memory=200_000, max_iter=3)
        expected = kmeans(rows, 4, init=start, metric=metric, max_iter=3)
        assert np.array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.centers, expected.centers, rtol=1e-12)


@pytest.mark.parametrize("place", ["map", "HDF5 in chunks"])
def test_prepared_rows_are_prepared_slab_by_slab(place, stored, cube):
    rows, data = cube.reshape(-1, SHAPE[2]), as_source(stored[place, ""])
    keep = np.arange(SHAPE[2]) % 3 > 0
    columns = rows[:, keep].sum(axis=0, dtype=float)
    options = {"keep": keep, "normalize": "root-sum", "scale": 1 / np.sqrt(columns)}
    lazy, held = prepare(Recipe(data, **options), memory=600_000), prepare(Recipe(rows, **options))
    assert isinstance(lazy, Source)
    assert lazy.shape == held.shape
    assert lazy.dtype == held.dtype
    assert np.array_equal(lazy.take([3, 599]), held.take([3, 599]))
    found, expected = pca(lazy, 3, center=False, memory="2 MB"), pca(held, 3, center=False)
    assert found.singular_values[0] == pytest.approx(1, abs=1e-6)  # of data weighted for Poisson noise
    np.testing.assert_allclose(found.singular_values, expected.singular_values, rtol=1e-6)
    H, H2 = nmf(lazy, 3, memory=600_000, max_iter=15).H, nmf(held, 3, max_iter=15).H
    np.testing.assert_allclose(H, H2, atol=1e-5 * H2.max())
    both = prepare([Recipe(data, **options), Recipe(rows)], memory=600_000)
    assert np.array_equal(both.take([5])[0, -SHAPE[2] :], rows[5])
    assert np.array_equal(kmeans(both, 3, memory=10**6).labels, kmeans(both.in_memory(), 3).labels)


@pytest.mark.parametrize("place", ["map", "HDF5 in chunks"])
def test_chosen_rows_are_those_of_memory(place, stored, cube):
    rows, data = cube.reshape(-1, SHAPE[2]), as_source(stored[place, ""])
    chosen = np.flatnonzero(
        ((np.arange(len(rows)) // 150) % 3 == 0) & (np.random.default_rng(0).random(len(rows)) < 0.7)
    )
    lazy, held = prepare(Recipe(data, rows=chosen), memory=600_000), prepare(Recipe(rows, rows=chosen))
    assert lazy.shape == held.shape == (len(chosen), SHAPE[2])
    assert [block.where[0].start for block in lazy.cut(70_000).blocks if 150 < block.where[0].start < 320] == []
    assert np.array_equal(lazy.take([3, 199]), rows[chosen[[3, 199]]])
    assert np.array_equal(np.asarray(lazy.in_memory()), rows[chosen])
    found, expected = nmf(lazy, 3, memory=330_000, max_iter=15), nmf(held, 3, max_iter=15)
    np.testing.assert_allclose(found.H, expected.H, atol=1e-5 * expected.H.max())
    np.testing.assert_allclose(found.W, expected.W, atol=1e-5 * expected.W.max())
    assert np.array_equal(kmeans(lazy, 3, memory=600_000).labels, kmeans(held, 3).labels)
    spoilt = rows.astype("f4").reshape(SHAPE)
    spoilt[7, 5, 11] = np.nan
    with pytest.raises(ValueError, match=r"first at \[7, 5, 11\]"):
        prepare(Recipe(Source([Stored(spoilt)]), rows=chosen))
    for wrong in (chosen[::-1], [0, 0, 1]):
        with pytest.raises(ValueError, match="rising order"):
            prepare(Recipe(data, rows=wrong), memory=600_000)


def test_signals_bring_their_navigation_axes(stored, cube, tmp_path):
    axes = (Axis("y", 30, navigation=True), Axis("x", 20, navigation=True), Axis("energy", 120))
    expected = NMF(3, max_iter=10, tol=0).fit(cube.reshape(-1, SHAPE[2])).components_
    for data in (stored["HDF5 in chunks", ""], stored["map", ""]):
        found = NMF(3, max_iter=10, tol=0, memory=600_000).fit(as_source(Signal(data, axes)))
        assert np.abs(found.components_ - expected).max() < 1e-5 * expected.max()
    patterns = Signal(cube.reshape(30, 20, 10, 12), (*axes[:2], Axis("ky", 10), Axis("kx", 12)))
    assert np.array_equal(NMF(3, max_iter=10, tol=0).fit(patterns).components_, expected)
    mixed = Signal(cube, (axes[0], Axis("energy", 20), Axis("x", 120, navigation=True)))
    with pytest.raises(ValueError, match="navigation axes must come first"):
        NMF(3).fit(mixed)
    hs = pytest.importorskip("hyperspy.api")
    signal = hs.signals.Signal1D(cube).as_lazy()
    assert np.abs(NMF(3, max_iter=10, tol=0).fit(signal).components_ - expected).max() < 1e-5 * expected.max()


def test_a_data_set_that_is_mapped_is_not_copied_and_what_is_small_is_taken_whole(stored):
    source = as_source(stored["HDF5 in one piece", ""])
    assert isinstance(source.parts[0].map, np.memmap)
    assert as_source(stored["HDF5 in chunks", ""]).parts[0].map is None
    block = source.cut().load(source.cut().blocks[0])[0]
    assert np.shares_memory(block, source.parts[0].map)
    for place in ("map", "HDF5 in chunks", "Zarr"):
        assert isinstance(open_rows(stored[place, ""]), np.ndarray)
        assert isinstance(open_rows(stored[place, ""], memory=200_000), Source)
    assert isinstance(open_rows(np.eye(3), checkpoint="x"), Source)
    assert isinstance(open_rows(np.eye(3), memory=1), np.ndarray)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.linux
def test_mapped_pages_are_let_go_and_nothing_that_was_written_is_lost(mode, tmp_path):
    data = np.arange(4096 * 300, dtype="u2").reshape(-1, 1024)
    data.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", "u2", mode, shape=data.shape)
    if mode != "r":
        mapped[5] = data[5] = 7
    stored = Stored(mapped)
    resident = {}
    for act in (stored.ahead, stored.release):
        assert mapped.sum() == data.sum()
        act(mapped[3:1000])
        with open("/proc/self/smaps") as file:
            text = file.read().split(str(tmp_path / "x"))[1]
        resident[act.__name__] = int(text.split("Rss:")[1].split()[0])
        assert np.array_equal(mapped, data)
    if mode != "c":
        assert resident["release"] < resident["ahead"] / 2


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 9), st.integers(1, 20), st.integers(1, 3), st.integers(60, 5000))
def test_blocks_hold_every_row_once_in_order_and_keep_to_the_budget(ny, nx, d, chunk, memory):
    data = np.arange(ny * nx * d, dtype="u2").reshape(ny, nx, d)

    class Lines:
        shape, dtype, ndim, chunks = data.shape, data.dtype, 3, (min(chunk, ny), nx, d)

        def __getitem__(self, where):
            return data[where]

    source = Source([Stored(Lines())])
    if 4 * nx * d > memory:
        with pytest.raises(ValueError, match=f"the smallest possible is {in_words(4 * nx * d)}"):
            source.cut(memory)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of chunks that are larger than the budget
        source = source.cut(memory)
    assert source.peak <= memory
    assert np.array_equal(np.vstack([source.load(block)[0] for block in source.blocks]), data.reshape(-1, d))
    places = [(block.index, i) for block in source.blocks for i in range(block.rows)]
    assert [source.row_of(*place) for place in places] == list(range(ny * nx))
    assert np.array_equal(source.take(range(ny * nx)), data.reshape(-1, d))


@pytest.mark.parametrize(
    ("words", "size"), [("2 GiB", 2 << 30), ("1.5 kb", 1500), ("10m", 10**7), (7, 7), (np.int64(9), 9), ("3 B", 3)]
)
def test_budgets_are_read(words, size):
    assert check_memory(words) == size


@pytest.mark.parametrize("words", ["much", "1.2.3 GB", "", ".", 0, "-1", "2 XB"])
def test_budgets_that_are_none_are_refused(words):
    with pytest.raises(ValueError, match="memory="):
        check_memory(words)


def test_what_is_wrong_with_stored_data_is_said(stored, cube, tmp_path):
    bad = cube.astype("f4")
    bad[20, 13, 100] = np.nan
    bad[25, 0, 0] = -1
    np.save(tmp_path / "bad.npy", bad)
    mapped = as_source(np.load(tmp_path / "bad.npy", mmap_mode="r"))
    for model in (PCA(2), NMF(2), KMeans(2), FuzzyCMeans(2)):
        with pytest.raises(ValueError, match=r"NaN or infinity, first at \[20, 13, 100\]"):
            model.set_params(memory="2 MB").fit(mapped)
    bad[20, 13, 100] = 0
    np.save(tmp_path / "negative.npy", bad)
    with pytest.raises(ValueError, match=r"Negative values.*first at \[25, 0, 0\]"):
        NMF(2, memory=600_000).fit(as_source(np.load(tmp_path / "negative.npy", mmap_mode="r")))
    zeros = cube.reshape(-1, SHAPE[2]).copy()
    zeros[400] = 0
    with pytest.raises(ValueError, match="is zero throughout") as error:
        KMeans(2, metric="cosine", init=zeros[:2], memory=100_000).fit(_mapped(zeros, tmp_path))
    assert sum(int(number) for number in re.findall(r"row (\d+)", str(error.value))) == 400
    with pytest.raises(ValueError, match="rows are needed"):
        PCA(1).fit(np.memmap(tmp_path / "bad.npy", "u1", "r"))
    with pytest.raises(ValueError, match="X has 120 features, but PCA is expecting 8"):
        PCA(2).fit(stored["map", "few"]).transform(stored["map", ""].reshape(-1, 120))
    with pytest.raises(ValueError, match=r"solver.*randomized"):
        pca(_mapped(cube.reshape(20, -1), tmp_path), 3, solver="exact", checkpoint=tmp_path / "c.npz")
    with pytest.raises(ValueError, match="a function"):
        kmeans(as_source(stored["map", ""]), 2, init=lambda X, k, random_state: X[:k], memory=600_000)


def _mapped(data, folder):
    np.save(folder / "mapped.npy", data)
    return as_source(np.load(folder / "mapped.npy", mmap_mode="r"))


def test_a_file_that_ends_early_is_named_and_does_not_kill_the_process(cube, tmp_path):
    np.save(tmp_path / "x.npy", cube)
    mapped = as_source(np.load(tmp_path / "x.npy", mmap_mode="r"))
    os.truncate(tmp_path / "x.npy", 100_000)
    with pytest.raises(ValueError, match=r"x\.npy ends early: 100000 bytes where"):
        NMF(2, memory=600_000).fit(mapped)
    with pytest.raises(ValueError, match=r"x\.npy cannot be read"):
        emcore.read(tmp_path / "x.npy", lazy=True)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=cube, chunks=(5, 20, 120), compression="gzip")
    size = os.path.getsize(tmp_path / "x.h5")
    with open(tmp_path / "x.h5", "r+b") as raw:
        raw.seek(size // 2)
        raw.write(b"\0" * 3000)
    with (
        h5py.File(tmp_path / "x.h5", "r") as file,
        pytest.raises(ValueError, match="cannot be read: truncated or damaged"),
    ):
        NMF(2, memory=600_000).fit(as_source(file["x"]))


def test_chunks_larger_than_the_budget_are_warned_of(cube, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=cube, chunks=(30, 20, 4))
    with h5py.File(tmp_path / "x.h5", "r") as file, pytest.warns(RuntimeWarning, match="each is read several times"):
        found = KMeans(3, memory=200_000).fit(as_source(file["x"]))
    assert np.array_equal(found.labels_, KMeans(3).fit(cube.reshape(-1, SHAPE[2])).labels_)


def test_rows_columns_and_blocks_of_zeros_stay_in_place_with_zero_maps(cube, tmp_path):
    zeros = cube.copy()
    zeros[10:16], zeros[:, 3], zeros[:, :, 7] = 0, 0, 0
    for options in ({}, {"solver": "mu", "loss": "kullback-leibler", "init": "random"}):
        model = NMF(3, max_iter=20, tol=0, memory=500_000, **options)
        maps = model.fit_transform(_mapped(zeros, tmp_path)).reshape(30, 20, 3)
        assert np.isfinite(maps).all()
        assert not maps[10:16].any()
        assert not maps[:, 3].any()
        assert not model.components_[:, 7].any()


def test_the_prediction_is_printed_when_a_budget_is_given(stored, capsys):
    KMeans(3, memory=600_000).fit(as_source(stored["map", ""]))
    said = capsys.readouterr().err
    assert said.startswith("emcore: X of 600 x 120 uint16 in ")
    assert "predicted peak memory" in said
    PCA(2).fit(stored["map", ""])
    assert capsys.readouterr().err == ""


def test_progress_counts_the_rows_of_all_passes(stored):
    told = []
    emcore.outofcore.engine.TICK, before = 0.0, emcore.outofcore.engine.TICK
    try:
        with emcore.progress(lambda done, total: told.append((done, total))):
            kmeans(as_source(stored["map", ""]), 3, memory=200_000, init=np.eye(3, SHAPE[2]), max_iter=2)
    finally:
        emcore.outofcore.engine.TICK = before
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (1800, 1800)
    assert all(done <= total for done, total in told)


def test_an_exception_of_the_callback_ends_the_fit_and_the_next_one_works(stored):
    def stop(done, total):
        raise KeyboardInterrupt

    emcore.outofcore.engine.TICK, before = 0.0, emcore.outofcore.engine.TICK
    try:
        with pytest.raises(KeyboardInterrupt), emcore.progress(stop):
            NMF(2, memory=600_000).fit(as_source(stored["Zarr", ""]))
    finally:
        emcore.outofcore.engine.TICK = before
    assert NMF(2, max_iter=3, tol=0, memory=600_000).fit(stored["Zarr", ""]).n_iter_ == 3


def test_frames_with_headers_between_them_are_read_and_let_go(tmp_path):
    frames = np.zeros(60, np.dtype([("head", "u1", 6), ("data", "u1", (8, 9))]))
    frames["data"] = np.random.default_rng(0).integers(0, 99, (60, 8, 9))
    frames.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", frames.dtype, "r")["data"].reshape(6, 10, 8, 9)[:, :, ::-1]
    axes = (Axis("y", 6, navigation=True), Axis("x", 10, navigation=True), Axis("ky", 8), Axis("kx", 9))
    found = KMeans(3, memory=200_000).fit(as_source(Signal(mapped, axes)))
    assert np.array_equal(found.labels_, KMeans(3).fit(np.asarray(mapped).reshape(60, 72)).labels_)


def test_estimators_take_prepared_rows_without_computing_all_of_them(cube, monkeypatch):
    rows = cube.reshape(-1, SHAPE[2])
    prepared, held = prepare(Recipe(rows, normalize="sum")), np.asarray(prepare(Recipe(rows, normalize="sum")))
    for model in (PCA(2), KMeans(3), NMF(2, max_iter=3, tol=0), FuzzyCMeans(2, max_iter=3, tol=0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, expected = in_blocks(model).fit(prepared), in_blocks(model).fit(held)
        name = "components_" if not isinstance(model, KMeans | FuzzyCMeans) else "cluster_centers_"
        assert_equal(found, expected, [name])
        assert found.n_features_in_ == SHAPE[2]


CODE = """
import re, sys
import numpy as np
from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans
from emcore.outofcore.open import as_source
import emcore.methods, threading, h5py, sklearn.cluster

def most(name="VmHWM"):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

path, model = sys.argv[1:]
mapped = np.load(path, mmap_mode="r")
eval(model).set_params(memory="1 GiB").fit(np.array(mapped[:2000]))  # what every process needs once
open("/proc/self/clear_refs", "w").write("5")
before = most("VmRSS")
eval(model).fit(mapped)
print(most() - before)
"""


@pytest.mark.parametrize(
    "model", ["NMF(4, max_iter=2, tol=0", "PCA(3, svd_solver='randomized'", "KMeans(4, max_iter=2"]
)
@pytest.mark.linux
def test_the_budget_is_kept(model, tmp_path):
    rng = np.random.default_rng(0)
    some = rng.poisson(rng.gamma(0.5, 2, (3000, 4)) @ rng.gamma(0.5, 1, (4, 512))).astype("u2")
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "u2", (150_000, 512))
    for start in range(0, 150_000, 3000):
        mapped[start : start + 3000] = some
    del mapped
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(tmp_path / "x.npy"), f"{model}, memory='64 MiB')"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    peak = re.search(r"predicted peak memory (.+)", done.stderr)[1]
    assert int(done.stdout) <= check_memory(peak) + (8 << 20)  # what Python and its libraries add
    assert check_memory(peak) <= 64 << 20


def test_components_much_weaker_than_the_first_are_found_as_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 4)) * [1000, 30, 1e-3, 1e-6] @ np.linalg.qr(rng.normal(size=(700, 4)))[0].T
    source = _mapped(rows + 1e-5, tmp_path)
    for center in (True, False):
        found = pca(source, 3, center=center, solver="randomized", memory="8 MB")
        expected = pca(np.asarray(source.in_memory()), 3, center=center, solver="randomized")
        np.testing.assert_allclose(found.singular_values, expected.singular_values, rtol=1e-6)
        assert found.singular_values[2] < 1e-5 * found.singular_values[0]


def test_ellipsoids_begin_where_they_begin_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(200, 3)) + at for at in ([0, 0, 0], [30, 5, 0])])
    options = {"max_iter": 1, "tol": 0, "init": rows[[0, -1]]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = GustafsonKessel(2, memory=60_000, **options).fit(_mapped(rows, tmp_path))
        expected = GustafsonKessel(2, **options).fit(rows)
    np.testing.assert_allclose(found.memberships_, expected.memberships_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.covariances_, expected.covariances_, rtol=1e-9, atol=1e-12)


@pytest.mark.linux
def test_mapped_rows_that_come_next_are_brought_in_before_they_are_used(tmp_path):
    def mapped_here():
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("RssFile")).split()[1])

    np.save(tmp_path / "x.npy", np.ones((64, 1 << 18), np.uint8))
    stored = Stored(np.load(tmp_path / "x.npy", mmap_mode="r"))
    rows = stored.read(8, 40)
    before = mapped_here()
    stored.ahead(rows)
    assert mapped_here() - before > 0.9 * rows.nbytes or not _populated(rows.ctypes.data // 4096 * 4096, 4096)
    assert rows.min() == rows.max() == 1
    stored.release(rows)
    assert mapped_here() - before < 0.2 * rows.nbytes
