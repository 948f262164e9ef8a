"""The rules that choose a number of components, against brute force, closed forms and planted ranks."""

import math

import numpy as np
import pytest

from emcore.methods.selection.components import RULES, RankChoice, n_components, null_evr
from emcore.methods.selection.rules import optimal_threshold


def spectrum(matrix, centred=False):
    if centred:
        matrix = matrix - matrix.mean(axis=0)
    s = np.linalg.svd(matrix, compute_uv=False)
    return s**2 / np.sum(s**2)


def planted(rank, shape=(400, 60), noise=1.0, strength=20.0, seed=0):
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(shape[0], rank)))[0]
    v = np.linalg.qr(rng.normal(size=(shape[1], rank)))[0]
    scale = strength * np.sqrt(max(shape)) * np.linspace(1, 0.7, rank)
    return (u * scale) @ v.T + noise * rng.normal(size=shape)


def normalised(values):
    values = np.sort(np.asarray(values, dtype=float))[::-1]
    return values / values.sum()


def test_a_choice_is_a_number_with_its_rule_and_reason():
    choice = n_components([0.7, 0.2, 0.01, 0.009])
    assert isinstance(choice, RankChoice)
    assert int(choice) == choice.n == len(range(choice))
    assert choice.rule == "elbow"
    assert str(choice.n) in choice.reason


@pytest.mark.parametrize("seed", range(5))
def test_gap_is_the_largest_ratio_among_2_to_20(seed):
    evr = normalised(np.random.default_rng(seed).exponential(size=40) ** 3)
    ratios = {k: evr[k - 1] / evr[k] for k in range(2, 21)}
    best = max(ratios, key=ratios.get)
    expected = best if ratios[best] >= 1.5 else 1
    assert n_components(evr, rule="gap").n == expected


def test_gap_does_not_look_at_the_mean_which_is_the_first_component():
    assert n_components([0.9, 0.01, 0.0099, 0.0098, 0.0097], rule="gap").n == 1


def test_gap_does_not_divide_rounding_errors_by_rounding_errors():
    choice = n_components([0.8, 0.1, 0.1, 1e-17, 1e-20, 0.0], rule="gap")
    assert choice.n == 3
    assert n_components([1.0, 0.0, 0.0, 0.0], rule="gap").n == 1


@pytest.mark.parametrize("rule", ["gap", "elbow", "jany", "threshold", "broken-stick"])
def test_one_or_two_ratios_are_enough_for_an_answer(rule):
    assert n_components([1.0], rule=rule).n == 1
    assert n_components([0.8, 0.2], rule=rule).n in (1, 2)


@pytest.mark.parametrize("seed", range(5))
def test_elbow_is_the_point_farthest_from_the_chord(seed):
    evr = normalised(np.random.default_rng(seed).exponential(size=35) ** 2)
    y = np.log(evr[:21])
    start, chord = np.array([0, y[0]]), np.array([20, y[20] - y[0]])
    unit = chord / np.linalg.norm(chord)
    distances = []
    for i in range(21):
        v = np.array([i, y[i]]) - start
        distances.append(np.linalg.norm(v - (v @ unit) * unit))
    assert n_components(evr, rule="elbow").n == int(np.argmax(distances)) + 1


def test_jany_is_the_first_strict_local_maximum_of_the_gradient():
    evr = np.array([0.5, 0.2, 0.08, 0.075, 0.07, 0.02, 0.015, 0.014, 0.0139, 0.001])
    gradient = np.gradient(evr)
    first = next(i for i in range(1, 7) if gradient[i - 1] < gradient[i] > gradient[i + 1])
    assert n_components(evr, rule="jany").n == first + 1 == 4


def test_jany_falls_back_to_elbow_on_a_convex_scree():
    evr = normalised(0.5 ** np.arange(12) + 1e-3)
    choice = n_components(evr, rule="jany")
    assert choice.rule == "elbow"
    assert choice.n == n_components(evr, rule="elbow").n


def test_threshold_counts_the_ratios_of_one_percent():
    assert n_components([0.8, 0.1, 0.011, 0.0101, 0.005], rule="threshold").n == 4
    assert n_components([0.8, 0.1, 0.011, 0.0101, 0.005], rule="threshold", minimum=0.05).n == 2


def test_threshold_that_keeps_fewer_than_two_falls_back_and_says_so():
    noisy = np.concatenate([[0.009, 0.008, 0.007], np.full(97, 0.003)])
    choice = n_components(noisy, rule="threshold")
    assert (choice.n, choice.rule) == (3, "gap")
    assert "only 0 EVR" in choice.reason
    smooth = np.concatenate([[0.009, 0.0085, 0.008, 0.0075, 0.006, 0.005], np.full(50, 0.004)])
    null = np.full((5, 10), 0.0055)
    assert n_components(smooth, rule="threshold").n == 1
    choice = n_components(smooth, rule="threshold", null=null)
    assert (choice.n, choice.rule) == (5, "parallel")


@pytest.mark.parametrize("seed", range(5))
def test_broken_stick_equals_brute_force(seed):
    evr = normalised(np.random.default_rng(seed).exponential(size=12) ** 2)
    k = 0
    while k < 12 and evr[k] > sum(1 / i for i in range(k + 1, 13)) / 12:
        k += 1
    assert n_components(evr, rule="broken-stick").n == max(k, 1)


def test_broken_stick_expects_the_lengths_of_sticks_that_are_really_broken():
    cuts = np.sort(np.random.default_rng(0).random((20000, 4)), axis=1)
    pieces = np.diff(np.pad(cuts, ((0, 0), (1, 1)), constant_values=(0, 1)), axis=1)
    mean = np.sort(pieces, axis=1)[:, ::-1].mean(axis=0)
    # 1 % more than the mean pieces passes, 1 % less fails.
    above = mean * np.array([1.01, 1.01, 1, 1, 1])
    below = mean * np.array([0.99, 1.01, 1, 1, 1])
    assert n_components(above / above.sum() * 1.0005, rule="broken-stick").n >= 2
    assert n_components(below / below.sum(), rule="broken-stick").n == 1


def test_broken_stick_of_a_truncated_scree_needs_the_full_number():
    evr = [0.3, 0.1, 0.05]
    with pytest.raises(ValueError, match="n_total"):
        n_components(evr, rule="broken-stick")
    assert n_components(evr, rule="broken-stick", n_total=100).n == 3


# Gavish & Donoho (2014), tables of lambda*(beta) and omega(beta).
@pytest.mark.parametrize(
    ("beta", "known", "unknown"),
    [(0.05, 1.5066, 1.5194), (0.1, 1.5816, 1.6089), (0.5, 1.9786, 2.1711), (0.75, 2.1561, 2.5011), (1, 2.3094, 2.8582)],
)
def test_gavish_donoho_coefficients_equal_the_published_tables(beta, known, unknown):
    shape = (round(100 * beta), 100)
    assert optimal_threshold(shape) == pytest.approx(known, abs=1e-4)
    assert optimal_threshold(shape, known_noise=False) == pytest.approx(unknown, abs=2e-3)
    assert optimal_threshold(shape[::-1]) == optimal_threshold(shape)


def test_gavish_donoho_finds_the_planted_rank_with_and_without_the_noise():
    for seed in range(3):
        matrix = planted(4, seed=seed)
        evr = spectrum(matrix)
        total = np.sum(matrix**2)
        assert n_components(evr, rule="gavish-donoho", shape=matrix.shape).n == 4
        assert n_components(evr, rule="gavish-donoho", shape=matrix.shape, noise=1.0, sum_of_squares=total).n == 4
        assert n_components(evr[:9], rule="gavish-donoho", shape=matrix.shape, noise=1.0, sum_of_squares=total).n == 4
        # With ten times the noise that there is, the threshold rises above the weaker ones.
        assert n_components(evr, rule="gavish-donoho", shape=matrix.shape, noise=14.0, sum_of_squares=total).n < 4


def test_gavish_donoho_with_unknown_noise_refuses_a_truncated_spectrum():
    matrix = planted(2)
    with pytest.raises(ValueError, match="truncated: the median rule needs all 60"):
        n_components(spectrum(matrix)[:20], rule="gavish-donoho", shape=matrix.shape)


def test_gavish_donoho_for_counts_takes_its_noise_from_their_total():
    rng = np.random.default_rng(0)
    endmembers = rng.dirichlet(np.ones(80) * 0.3, size=3)
    weights = rng.dirichlet(np.ones(3) * 0.5, size=900)
    counts = rng.poisson(60 * weights @ endmembers).astype(float)
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    a, b = counts.sum(1), counts.sum(0)
    singular = np.linalg.svd(counts / np.sqrt(np.outer(a, b)), compute_uv=False)
    assert singular[0] == pytest.approx(1)
    evr = singular**2 / np.sum(singular**2)
    limit = optimal_threshold(counts.shape) * math.sqrt(max(counts.shape) / counts.sum())
    choice = n_components(evr[:20], rule="gavish-donoho", shape=counts.shape, total_counts=counts.sum())
    assert choice.n == np.count_nonzero(singular > limit) == 3


def test_the_largest_singular_value_of_weighted_counts_is_taken_as_one():
    singular = np.array([1.0, 0.5, 0.2] + [0.05] * 400)
    evr = singular**2 / np.sum(singular**2)
    total = (optimal_threshold((1000, 500)) / 0.19) ** 2 * 1000
    choice = n_components(evr[:20], rule="gavish-donoho", shape=(1000, 500), total_counts=total)
    assert choice.n == 3


def test_parallel_keeps_the_planted_rank_and_one_component_of_noise():
    def pipeline(matrix):
        return spectrum(matrix, centred=True)

    matrix = planted(3, strength=5)
    assert n_components(pipeline(matrix), rule="parallel", null=null_evr(matrix, pipeline)).n == 3
    # Noise has none above the percentile; the rule then answers 1 and says that none was.
    noise = np.random.default_rng(1).normal(size=(300, 30))
    choice = n_components(pipeline(noise), rule="parallel", null=null_evr(noise, pipeline))
    assert choice.n == 1
    assert "no EVR" in choice.reason


def test_null_draws_shuffle_columns_or_keep_the_sums_of_counts():
    data = np.random.default_rng(0).poisson(5, size=(50, 6))
    seen = []
    first = null_evr(data, lambda X: (seen.append(X.copy()), spectrum(X))[1], n_draws=3, random_state=1)
    assert first.shape == (3, 6)
    for draw in seen:
        assert not np.array_equal(draw, data)
        assert np.array_equal(np.sort(draw, axis=0), np.sort(data, axis=0))
    assert np.array_equal(first, null_evr(data, spectrum, n_draws=3, random_state=1))
    seen.clear()
    null_evr(data * 1000, lambda X: (seen.append(X), spectrum(X))[1], kind="poisson", n_draws=2)
    for draw in seen:
        assert np.allclose(draw.sum(axis=0), 1000 * data.sum(axis=0), rtol=0.02)
        assert np.allclose(draw.sum(axis=1), 1000 * data.sum(axis=1), rtol=0.05)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_minka_agrees_with_scikit_learn(rank):
    from sklearn.decomposition import PCA

    matrix = planted(rank, shape=(300, 12), strength=4.0, seed=rank)
    full = PCA().fit(matrix)
    expected = PCA(n_components="mle").fit(matrix).n_components_
    assert n_components(full.explained_variance_ratio_, rule="minka", n_samples=300).n == expected == rank


def test_an_unknown_rule_names_the_nearest():
    with pytest.raises(ValueError, match="elbow"):
        n_components([0.5, 0.3, 0.2], rule="elbw")


@pytest.mark.parametrize(
    ("evr", "error", "message"),
    [
        ([0.5, math.nan, 0.1], ValueError, "position 1"),
        ([0.5, 0.2, -0.1], ValueError, "negative"),
        ([0.1, 0.5], ValueError, "must fall"),
        ([[0.5, 0.5]], ValueError, "shape"),
        ([], ValueError, "at least one"),
        ([0.0, 0.0], ValueError, "no variance"),
        ([3.0, 1.0], ValueError, "sum of at most 1"),
        ([0.5 + 1j], TypeError, "real"),
        (["a"], TypeError, "real"),
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_bad_ratios_are_refused_with_a_reason_by_every_rule(rule, evr, error, message):
    with pytest.raises(error, match=message):
        n_components(evr, rule=rule)


@pytest.mark.parametrize(
    ("rule", "options", "error", "message"),
    [
        ("gap", {"min_ration": 2}, TypeError, "min_ratio"),
        ("jany", {"minimum": 2}, TypeError, "none"),
        ("gap", {"min_ratio": 0.5}, ValueError, "min_ratio"),
        ("gap", {"max_components": 1}, ValueError, "max_components"),
        ("elbow", {"max_components": 1}, ValueError, "max_components"),
        ("threshold", {"minimum": 1.5}, ValueError, "minimum"),
        ("broken-stick", {"n_total": 2}, ValueError, "n_total"),
        ("gavish-donoho", {}, TypeError, "shape"),
        ("gavish-donoho", {"shape": (0, 3)}, ValueError, "shape"),
        ("gavish-donoho", {"shape": (9, 3), "noise": 1.0}, TypeError, "sum_of_squares"),
        ("gavish-donoho", {"shape": (9, 3), "noise": -1.0, "sum_of_squares": 1.0}, ValueError, "noise"),
        ("gavish-donoho", {"shape": (9, 3), "total_counts": 0}, ValueError, "total_counts"),
        ("gavish-donoho", {"shape": (9,)}, ValueError, "rows, columns"),
        ("gavish-donoho", {"shape": (9, 3), "total_counts": 5, "noise": 1.0}, ValueError, "leave out"),
        ("parallel", {}, TypeError, "null"),
        ("parallel", {"null": [1.0]}, ValueError, "null"),
        ("parallel", {"null": [[0.1]], "percentile": 101}, ValueError, "percentile"),
        ("minka", {}, TypeError, "n_samples"),
        ("minka", {"n_samples": 2}, ValueError, "at least as many rows"),
    ],
)
def test_bad_options_are_refused_with_a_reason(rule, options, error, message):
    with pytest.raises(error, match=message):
        n_components([0.5, 0.3, 0.2], rule=rule, **options)
