"""How many clusters."""

import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

import emcore
from emcore import FuzzyCMeans, KMeans, choose_n_clusters
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.preprocessing import Recipe, prepare
from emcore.methods.selection.agreement import adjusted_rand_index


def clouds(k, n=600, d=4, apart=12.0, dtype="f4", seed=0):
    """k round clouds on a circle, neighbours as far apart as asked."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(k) / k
    places = np.zeros((k, d))
    places[:, :2] = np.stack([np.cos(angle), np.sin(angle)], axis=1) * apart / (2 * np.sin(np.pi / k))
    return (60 + places[rng.integers(k, size=n)] + rng.normal(size=(n, d)) * 2).astype(dtype)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("estimator", ["kmeans", "fuzzy-c-means", KMeans, FuzzyCMeans(m=1.5), KMeans(n_init=3)])
def test_clouds_that_lie_apart_are_counted(k, estimator):
    choice = choose_n_clusters(clouds(k), range(2, 8), estimator=estimator, n_seeds=3, n_references=3)
    assert int(choice) == choice.n_clusters == k
    assert choice.votes["silhouette"] == choice.votes["Davies-Bouldin"] == k
    assert choice.density == k
    assert choice.reason.startswith(f"regions of low density part {k} groups, ")


def test_indices_are_those_of_scikit_learn():
    X = clouds(4, apart=5.0, dtype="u1")
    choice = choose_n_clusters(X, [2, 4, 7], n_seeds=1)
    seed = int(np.random.default_rng(0).integers(2**31 - 1, size=1)[0])
    for i, k in enumerate((2, 4, 7)):
        observed = kmeans(X, k, random_state=seed)
        assert choice.inertia[i] == pytest.approx(observed.inertia, rel=1e-6)
        assert choice.davies_bouldin[i] == pytest.approx(davies_bouldin_score(X, observed.labels), rel=1e-5)
        assert choice.calinski_harabasz[i] == pytest.approx(calinski_harabasz_score(X, observed.labels), rel=1e-5)
        assert choice.silhouette[i] == pytest.approx(
            silhouette_score(X, observed.labels), rel=1e-5
        )  # all rows: n <= sample


def test_the_silhouette_of_a_sample_is_close_to_that_of_all_rows():
    X = clouds(3, n=3000, apart=4.0)
    whole = choose_n_clusters(X, [2, 3, 4], n_seeds=1, sample=3000).silhouette
    part = choose_n_clusters(X, [2, 3, 4], n_seeds=1, sample=300).silhouette
    np.testing.assert_allclose(part, whole, atol=0.05)
    assert not np.array_equal(part, whole)


def test_uniform_data_have_no_gap_and_clusters_have_one():
    rng = np.random.default_rng(0)
    uniform = choose_n_clusters(rng.random((800, 2)), range(2, 6), n_seeds=2)
    assert (np.abs(uniform.gap) < 0.15).all()
    clustered = choose_n_clusters(clouds(4, d=2, n=800), range(2, 6), n_seeds=2)
    assert clustered.gap[2] > 0.5
    assert clustered.votes["gap"] == 4
    assert (clustered.gap_error > 0).all()


def test_what_changes_with_the_seed_is_not_stable():
    choice = choose_n_clusters(clouds(3), [3, 8], n_seeds=4)
    assert choice.stability[0] == 1
    assert choice.stability[1] < 0.9


def test_integers_strides_and_prepared_rows_give_the_same_choice():
    X = clouds(3, dtype="u2")
    expected = choose_n_clusters(X, range(2, 5), n_seeds=2)
    before = X.copy()
    for other in (X.astype("f4"), np.asfortranarray(X), prepare(Recipe(X))):
        observed = choose_n_clusters(other, range(2, 5), n_seeds=2)
        for name in ("inertia", "davies_bouldin", "calinski_harabasz", "silhouette", "gap", "stability"):
            np.testing.assert_allclose(getattr(observed, name), getattr(expected, name), rtol=1e-6)
    assert np.array_equal(X, before)
    with emcore.num_threads(1):
        assert np.array_equal(choose_n_clusters(X, range(2, 5), n_seeds=2).gap, expected.gap)


@pytest.fixture
def small_sample(monkeypatch, nothing_is_loaded):
    monkeypatch.setattr("emcore.outofcore.sample._BYTES", 1)
    monkeypatch.setattr("emcore.outofcore.sample._LEAST", 300)
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", 1 << 12)


def alike(a, b):
    return all(np.array_equal(getattr(a, name), value) for name, value in vars(b).items())


@pytest.mark.filterwarnings("ignore:data (has|is stored in) chunks")
@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask"])
def test_what_is_left_where_it_is_stored_is_read_once_and_gives_the_same_bits(small_sample, stored_as, passes, kind):
    X = clouds(3, n=1200)
    here = choose_n_clusters(X, range(2, 6), n_seeds=2, n_references=2)
    del passes[:]
    observed = choose_n_clusters(stored_as(kind, X.reshape(30, 40, 4)), range(2, 6), n_seeds=2, n_references=2)
    assert passes == ["_taken"]
    assert alike(observed, here)
    assert int(observed) == 3


def test_prepared_rows_out_of_core_are_read_twice(small_sample, stored_as, passes):
    X = clouds(3, n=1200).reshape(30, 40, 4)
    recipe = {"offset": np.full(4, 9.0), "scale": np.arange(1.0, 5.0)}
    here = choose_n_clusters(prepare(Recipe(X.reshape(-1, 4), **recipe)), range(2, 5), n_seeds=2, n_references=2)
    mapped = prepare(Recipe(stored_as("map", X), **recipe))
    assert alike(choose_n_clusters(mapped, range(2, 5), n_seeds=2, n_references=2), here)
    assert passes == ["_range", "_taken"]


def test_a_choice_that_was_killed_goes_on_and_says_what_it_needs(
    small_sample, stored_as, tmp_path, killing, capsys, monkeypatch
):
    mapped = stored_as("map", clouds(3, n=1200).reshape(30, 40, 4))
    options = {"n_seeds": 2, "n_references": 2, "memory": "1 MiB"}
    whole = choose_n_clusters(mapped, range(2, 5), **options)
    assert "emcore: data of 1200 x 4 float32 in 5 blocks; predicted peak memory " in capsys.readouterr().err
    made = killing(1)
    with pytest.raises(KeyboardInterrupt):
        choose_n_clusters(mapped, range(2, 5), checkpoint=tmp_path / "job.npz", **options)
    for _ in range(2):  # what has ended is not read again
        assert alike(choose_n_clusters(mapped, range(2, 5), checkpoint=tmp_path / "job.npz", **options), whole)
    assert len(made) == 2
    with pytest.raises(ValueError, match="another job: random_state"):
        choose_n_clusters(mapped, range(2, 5), checkpoint=tmp_path / "job.npz", random_state=1, **options)
    with pytest.raises(ValueError, match="memory=9 KiB is too little for data"):
        choose_n_clusters(mapped, memory="9 KiB")


def test_nan_anywhere_in_a_file_is_named(small_sample, stored_as):
    X = clouds(3, n=1200).reshape(30, 40, 4)
    X[29, 3, 1] = np.nan
    with pytest.raises(ValueError, match=r"Input data contains NaN or infinity, first at \[29, 3, 1\]"):
        choose_n_clusters(stored_as("map", X))


def test_as_many_rows_are_looked_at_as_clusters_need(small_sample):
    X = clouds(3, n=1200)
    assert choose_n_clusters(X, [2, 40], n_seeds=1, n_references=2).tried.tolist() == [2, 40]
    assert choose_n_clusters(X, [2, 299], n_seeds=1, n_references=2).tried.tolist() == [2, 299]


def test_few_rows_and_duplicates_give_numbers():
    for X in (np.arange(8.0).reshape(4, 2), np.repeat(clouds(3, n=3), 20, axis=0)):
        choice = choose_n_clusters(X, range(2, 4), n_seeds=2)
        assert np.isfinite(choice.silhouette).all()
        assert choice.n_clusters in (2, 3)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_adjusted_rand_index_is_that_of_scikit_learn(k):
    rng = np.random.default_rng(k)
    a, b = rng.integers(k, size=200), rng.integers(3, size=200)
    assert adjusted_rand_index(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)
    assert adjusted_rand_index(a, a) == 1


def test_the_plot_shows_every_criterion():
    pytest.importorskip("matplotlib")
    choice = choose_n_clusters(clouds(3), range(2, 6), n_seeds=2)
    figure = choice.plot()
    titles = [axes.get_title("left") for axes in figure.axes]
    assert len(titles) == 6
    assert titles[0] == "Inertia"
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"range": []}, ValueError, "range holds no number"),
        ({"range": [1, 2]}, ValueError, "range=1 is out of range; it must be between 2 and 599"),
        ({"range": [2, 600]}, ValueError, "range=600"),
        ({"range": [2.5]}, TypeError, "whole number"),
        ({"data": np.ones((600, 2))}, ValueError, "rows that are all the same"),
        ({"data": np.full((600, 2), np.nan)}, ValueError, "data contains NaN"),
        ({"estimator": "k-means"}, ValueError, "did you mean 'kmeans'"),
        ({"estimator": 3}, TypeError, "cannot be fitted"),
        ({"n_seeds": 0}, ValueError, "n_seeds"),
        ({"n_references": 1}, ValueError, "n_references"),
        ({"sample": 3}, ValueError, "sample"),
    ],
)
def test_bad_input_is_named(change, error, message):
    with pytest.raises(error, match=message):
        choose_n_clusters(**({"data": clouds(3), "range": range(2, 4)} | change))
