"""k-means out of core makes no pass more than it needs, and asks of a block only what must hold of a block."""

import numpy as np
import pytest

from emcore import KMeans
from emcore.methods.kmeans.fit import kmeans, nearest
from emcore.outofcore.open import as_source

N, K = 400, 3
BLOCKS = 8


def data(tmp_path, monkeypatch, d=80, dtype="u2", spread=3.0):
    """Rows in groups, and the same out of core in several blocks."""
    rng = np.random.default_rng(0)
    groups = rng.integers(5, 40, (K, d))
    rows = (groups[rng.integers(0, K, N)] + rng.normal(0, spread, (N, d)) + 20).clip(1).astype(dtype)
    np.save(tmp_path / "x.npy", rows)
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", rows.nbytes // BLOCKS)
    return rows, as_source(np.load(tmp_path / "x.npy", mmap_mode="r"))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("d", "dtype"), [(80, "u2"), (80, "f4"), (9, "u2"), (9, "f8")])
def test_an_unchanged_assignment_needs_no_further_pass(d, dtype, metric, tmp_path, monkeypatch, passes):
    rows, source = data(tmp_path, monkeypatch, d, dtype, spread=25.0)
    fit = kmeans(source, K, init=rows[:K], metric=metric, tol=0)
    visits = [name for name in passes if name != "_range"]
    assert fit.converged
    assert len(visits) == fit.n_iter > 2
    expected = kmeans(rows, K, init=rows[:K], metric=metric, tol=0)
    assert fit.n_iter == expected.n_iter
    assert np.array_equal(fit.labels, expected.labels)
    np.testing.assert_allclose(fit.centers, expected.centers, rtol=1e-12)
    assert fit.inertia == pytest.approx(expected.inertia, rel=1e-9)


@pytest.mark.parametrize("options", [{"tol": 0.1}, {"tol": 0, "max_iter": 2}])
def test_centres_that_moved_last_need_one_more(options, tmp_path, monkeypatch, passes):
    rows, source = data(tmp_path, monkeypatch, spread=25.0)
    fit = kmeans(source, K, init=rows[:K], **options)
    assert len(passes) == fit.n_iter + 1
    expected = kmeans(rows, K, init=rows[:K], **options)
    assert (fit.n_iter, fit.converged) == (expected.n_iter, expected.converged)
    assert np.array_equal(fit.labels, expected.labels)
    assert fit.inertia == pytest.approx(expected.inertia, rel=1e-9)


def test_plus_plus_makes_one_pass_for_each_row_it_chooses(tmp_path, monkeypatch, passes):
    rows, source = data(tmp_path, monkeypatch)
    fit = kmeans(source, 5, tol=0, max_iter=4)
    assert len(passes) == 5 + fit.n_iter + (not fit.converged)
    assert np.array_equal(fit.labels, kmeans(rows, 5, tol=0, max_iter=4).labels)


@pytest.mark.parametrize("d", [80, 9])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("init", ["given", "k-means++", "random"])
def test_whole_blocks_may_have_no_weight(init, metric, d, tmp_path, monkeypatch):
    rows, source = data(tmp_path, monkeypatch, d)
    mask = np.ones(N, bool)
    mask[: 2 * N // BLOCKS] = False  # all of the first blocks
    mask[-N // BLOCKS :: 2] = False
    options = {
        "init": rows[mask][:K] if init == "given" else init,
        "metric": metric,
        "sample_weight": mask,
        "n_init": 1,
    }
    fit, expected = kmeans(source, K, **options), kmeans(rows, K, **options)
    assert np.array_equal(fit.labels, expected.labels)
    np.testing.assert_allclose(fit.centers, expected.centers, rtol=1e-10)
    assert fit.inertia == pytest.approx(expected.inertia, rel=1e-9)
    labels, inertia = nearest(source, fit.centers, metric=metric, sample_weight=mask)
    assert np.array_equal(labels, fit.labels)
    assert inertia == pytest.approx(fit.inertia, rel=1e-9)
    with pytest.raises(ValueError, match="sample_weight is zero throughout"):
        kmeans(source, K, **{**options, "sample_weight": np.zeros(N)})


def test_the_score_of_a_mask_is_that_of_memory(tmp_path, monkeypatch):
    rows, source = data(tmp_path, monkeypatch)
    model = KMeans(K).fit(rows)
    mask = np.arange(N) >= N // 2
    assert model.score(source, sample_weight=mask) == pytest.approx(model.score(rows, sample_weight=mask))


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_there_may_be_more_clusters_than_rows_in_a_block(init, tmp_path, monkeypatch):
    rows, source = data(tmp_path, monkeypatch)
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", 3 * rows[0].nbytes)
    fit, expected = (kmeans(x, 7, init=init, n_init=1, max_iter=5) for x in (source, rows))
    assert np.array_equal(fit.labels, expected.labels)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("weighted", [False, True])
def test_many_empty_clusters_take_the_farthest_rows_of_all_blocks(weighted, metric, tmp_path, monkeypatch):
    rows, source = data(tmp_path, monkeypatch, dtype="f4")
    far = np.eye(6, rows.shape[1]) * 1e6
    options = {"init": np.vstack([rows[:2], far]), "metric": metric, "max_iter": 4}
    options["sample_weight"] = np.random.default_rng(1).integers(0, 3, N) if weighted else None
    fit, expected = kmeans(source, 8, **options), kmeans(rows, 8, **options)
    assert np.array_equal(fit.labels, expected.labels)
    np.testing.assert_allclose(fit.centers, expected.centers, rtol=1e-10)


def test_a_row_without_direction_is_named_by_its_number_whatever_block_it_is_in(tmp_path, monkeypatch):
    rows, _ = data(tmp_path, monkeypatch)
    rows[317] = 0
    np.save(tmp_path / "y.npy", rows)
    source = as_source(np.load(tmp_path / "y.npy", mmap_mode="r"))
    with pytest.raises(ValueError, match=r"row 17 is zero throughout.*rows counted from row 300 of"):
        kmeans(source, K, init=rows[:K], metric="cosine")


def test_what_had_converged_is_read_from_the_checkpoint_without_a_pass(tmp_path, monkeypatch, passes):
    rows, source = data(tmp_path, monkeypatch, spread=25.0)
    for options in ({"tol": 0}, {"tol": 1e-2}, {"tol": 0, "n_init": 3, "init": "random"}):
        options = {"init": rows[:K], **options, "checkpoint": tmp_path / f"{len(options)}{options['tol']}.npz"}
        first = kmeans(source, K, **options)
        passes.clear()
        again = kmeans(source, K, **options)
        assert passes == []
        assert np.array_equal(first.labels, again.labels)
        assert np.array_equal(first.centers, again.centers)
        assert (first.inertia, first.n_iter) == (again.inertia, again.n_iter)


def test_a_fit_that_max_iter_ended_goes_on_from_its_checkpoint(tmp_path, monkeypatch, passes):
    rows, source = data(tmp_path, monkeypatch, spread=25.0)
    options = {"init": rows[:K], "tol": 0, "checkpoint": tmp_path / "c.npz"}
    kmeans(source, K, max_iter=2, **options)
    passes.clear()
    fit, expected = kmeans(source, K, **options), kmeans(rows, K, init=rows[:K], tol=0)
    assert len(passes) == fit.n_iter - 2
    assert fit.n_iter == expected.n_iter > 3
    assert np.array_equal(fit.labels, expected.labels)
