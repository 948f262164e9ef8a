"""Calls of every public function and estimator, with arguments that fit but for up to two."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from random import Random
from typing import Any

import numpy as np
from values import odd, some_array

import emcore
from emcore import datasets, detectors, preprocessing, residuals, validity

# Words that some parameter of a function takes, so that calls come past the first check.
WORDS: dict[str, tuple[Any, ...]] = {
    "segment_grains.method": ("slic", "graph", "hdbscan"),
    "group_signals.method": ("mixture", "kmeans"),
    "correlate.method": ("gustafson-kessel", "fuzzy", "k-means"),
    "analyze_volume.method": ("mixture", "kmeans"),
    "unmix.loss": ("kullback-leibler",),
    "NMF.loss": ("kullback-leibler",),
    "NMF.solver": ("mu",),
    "NMF.init": ("random", "spa"),
    "windowed_power_spectra.scale": ("power", "amplitude"),
    "windowed_power_spectra.reduce": ("radial", ("crop", 3), ("bin", 2)),
    "cluster_diffraction.normalize": ("none", "sum", "max", "l2", "log1p", "root-sum"),
    "group_signals.normalize": ("none", "sum", "max", "log1p", "sqrt"),
    "n_components.rule": ("kaiser", "broken-stick", "largest-gap"),
    "local_symmetry.score": ("rotation", "reflection"),
    "local_symmetry_scores.score": ("rotation", "reflection"),
    "PCA.svd_solver": ("full", "randomized"),
    "KMeans.metric": ("cosine",),
}
# How many axes the arrays have that a parameter takes.
AXES = {
    "X": 2, "image": 2, "patterns": 4, "pattern": 2, "data": 3, "spectrum_image": 3, "curves": 3, "signals": 3,
    "stack": 3, "labels": 2, "volume": 3, "memberships": 2, "centers": 2, "masks": 2, "frames": 3, "references": 2,
    "evr": 1, "half_spectra": 4, "obj": 3, "sample_weight": 1, "mask": 2, "navigation_mask": 2, "covariances": 3,
}  # fmt: skip
REQUIRED = {
    "n_clusters": 3, "window": 8, "step": 4, "shape": (24, 18), "center": (8.0, 8.0), "radius": 3.0, "inner": 2.0,
    "outer": 5.0, "min_correlation": 0.5, "probabilities": [0.25, 0.5], "mask_beam": True, "beam_radius": None,
}  # fmt: skip
# What a synthetic measurement is of; those of the defaults are larger than a call needs to be.
SMALL: dict[str, Any] = {
    "n_scans": 2, "n_frames": 2, "n_angles": 9, "points": 30, "scan_shape": (8, 9), "pattern_shape": (32, 32),
}  # fmt: skip
SIDES = {"shaped_particles": (64, 64), "quasi_ordered_volume": (16, 16, 16), "moving_boundary": (64, 64)}
FITTED = {"window": 8, "n_clusters": 2, "n_components": 2, "n_segments": 9}
# What writes, reads, or changes how all calls run is tried by tests of its own.
LEFT_OUT = {
    "set_num_threads",
    "num_threads",
    "progress",
    "read",
    "load_result",
    "get_num_threads",
}
PATHS = {"checkpoint", "out", "labels_path", "overwrite"}

Call = Callable[[], Any]
"""An answer, or the error of bad arguments."""


def sensible(numbers: Random, ndim: int, shape: tuple[int, ...] | None = None) -> Any:
    """Counts that most functions take, so that they are computed with: an array, a signal, or out of core."""
    shape = shape or {1: (24,), 2: (24, 18), 3: (8, 9, 16), 4: (6, 7, 16, 16)}[ndim]
    kind = numbers.choice(("u1", "u2", "i2", "f4", "f8", ">u2", ">f4"))
    scale = numbers.choice((1,) * 9 + (1e-30, 1e30))
    values = np.random.default_rng(numbers.randrange(10)).poisson(5, shape)
    data = values.astype(kind) if kind[-2] != "f" else (values * scale).astype(kind)
    wrapped = numbers.randrange(24)
    if wrapped == 0:
        import dask.array as da

        return da.from_array(data, chunks=tuple(-(-side // 2) for side in shape))
    if wrapped == 1:
        axes = [emcore.Axis(name, side, 0.5, units="nm") for name, side in zip("abcd", shape, strict=False)]
        return emcore.Signal(data, tuple(axes))
    return data


def usual(owner: str, name: str, default: Any, numbers: Random) -> Any:
    """What a parameter takes."""
    noise = np.random.default_rng(0).normal
    fixed: dict[tuple[str, str], Callable[[], Any]] = {
        ("n_components", "evr"): lambda: 0.5 ** np.arange(1, 12),
        ("full_plane", "half_spectra"): lambda: noise(size=(3, 8, 5)) ** 2,
        ("map_peaks", "stack"): lambda: np.exp(-((np.arange(40) - 20.0) ** 2) / 20) * 1e4 + noise(size=(9, 8, 40)),
        ("stitch", "scans"): lambda: [_mosaic()[:60, :60], _mosaic()[:60, 24:]],
        ("phase_map", "references"): lambda: np.eye(3, 16) + 1,
        ("local_symmetry", "image"): lambda: noise(size=(90, 80)),
        ("local_symmetry_scores", "image"): lambda: noise(size=(90, 80)),
        ("local_symmetry_series", "frames"): lambda: noise(size=(2, 90, 80)),
        ("detectors.virtual_images", "masks"): lambda: detectors.disc((16, 16), (8, 8), 3),
        ("detectors.find_beam", "pattern"): lambda: np.pad(np.full((5, 5), 900.0), 6, constant_values=3),
        ("detectors.masked_beam", "mean"): lambda: np.pad(np.full((5, 5), 900.0), 6, constant_values=3),
        ("detectors.sum_by_label", "labels"): lambda: np.arange(42).reshape(6, 7) % 3,
        ("residuals.residuals", "W"): lambda: np.ones((24, 2)),
        ("residuals.residuals", "H"): lambda: np.ones((2, 18)),
        ("datasets.adjusted_rand_index", "a"): lambda: np.arange(72) % 5,
        ("datasets.adjusted_rand_index", "b"): lambda: np.arange(72) % 3,
        ("datasets.far_from_borders", "labels"): lambda: np.arange(72).reshape(8, 9) // 20,
        ("datasets.eds_spectrum", "composition"): lambda: {"Fe": 0.5, "Cu": 0.5},
        ("datasets.eds_spectrum", "energy"): lambda: np.linspace(0.1, 10, 60),
        ("datasets.co_fe_ratio", "spectra"): lambda: np.ones((4, 200)),
        ("datasets.co_fe_ratio", "energy"): lambda: np.linspace(0.1, 10, 200),
        ("validity.fuzzy_validity", "memberships"): lambda: np.full((24, 3), 1 / 3),
        ("validity.fuzzy_validity", "centers"): lambda: np.arange(54.0).reshape(3, 18),
    }
    if (owner, name) in fixed:
        return fixed[owner, name]()
    if owner == "correlate" and name == "signals":
        return [sensible(numbers, 3, (6, 7, 16)), sensible(numbers, 4)]
    if owner.startswith("datasets.") and (name in SMALL or name == "shape") and numbers.randrange(99):
        return SMALL.get(name, SIDES.get(owner.removeprefix("datasets."), (24, 18)))
    if owner == "preprocessing.prepare" and name == "signals":
        words = ("none", "sum", "max", "l2", "log1p", "sqrt", "root-sum")
        return preprocessing.Recipe(sensible(numbers, 2), normalize=numbers.choice(words))
    if name in AXES and default is inspect.Parameter.empty:
        if owner in ("choose_n_clusters", "preprocessing.quantiles", "preprocessing.mean_and_variance"):
            return sensible(numbers, 2)
        if owner in ("merge_similar", "mean_signals"):
            return sensible(numbers, 3) if name == "data" else np.arange(72).reshape(8, 9) % 5
        if owner == "merge_signals":
            return [sensible(numbers, AXES[name]) for _ in range(2)]
        return sensible(numbers, AXES[name])
    if default is inspect.Parameter.empty:
        return REQUIRED.get(name, 3)
    if name in FITTED and not isinstance(default, str) and not owner.startswith("local_symmetry"):
        return FITTED[name]
    return numbers.choice([*WORDS.get(f"{owner}.{name}", ()), default, default])


@cache
def _mosaic() -> Any:
    """A picture that scans are cut out of."""
    return np.kron(np.random.default_rng(0).uniform(size=(12, 17)), np.ones((5, 5))).astype(np.float32)


def arguments(owner: str, parameters: Iterable[inspect.Parameter], numbers: Random) -> dict[str, Any]:
    """Arguments that fit, but for up to two."""
    drawn = {
        each.name: usual(owner, each.name, each.default, numbers)
        for each in parameters
        if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL) and each.name not in PATHS
    }
    for _ in range(numbers.randrange(3) if drawn else 0):
        drawn[numbers.choice(list(drawn))] = odd(numbers)
    return drawn


def of_function(owner: str, function: Callable[..., Any], numbers: Random) -> Call:
    """A call of it."""
    return partial(function, **arguments(owner, inspect.signature(function).parameters.values(), numbers))


def fit_and_ask(estimator: type, settings: dict[str, Any], X: Any, other: Any) -> Any:
    """A fit, and what is asked of it afterwards, even if it failed."""
    model = estimator(**settings)
    errors: list[Exception] = []
    answers = []
    asked = [(model.fit, X)]
    asked += [(getattr(model, name), other) for name in ("transform", "predict", "score") if hasattr(model, name)]
    for ask, data in asked:
        try:
            answers.append(ask(data))
        except Exception as error:
            errors.append(error)
    for error in errors:
        raise error
    return answers


def of_estimator(estimator: type, numbers: Random) -> Call:
    """A fit of it."""
    settings = arguments(estimator.__name__, inspect.signature(estimator).parameters.values(), numbers)
    X, other = (some_array(numbers) if numbers.randrange(3) == 0 else sensible(numbers, 2) for _ in range(2))
    return partial(fit_and_ask, estimator, settings, X, other)


def everything() -> Iterator[tuple[str, Callable[[Random], Call]]]:
    """Every public function and estimator by name, and what makes a call of it."""
    for name in emcore.__all__:
        each = getattr(emcore, name)
        if isinstance(each, type) and hasattr(each, "fit"):
            yield name, partial(of_estimator, each)
        elif inspect.isfunction(each) and name not in LEFT_OUT:
            yield name, partial(of_function, name, each)
    for module in (datasets, detectors, preprocessing, residuals, validity):
        tail = module.__name__.rpartition(".")[2]
        for name in module.__all__:
            each = getattr(module, name)
            if inspect.isfunction(each):
                yield f"{tail}.{name}", partial(of_function, f"{tail}.{name}", each)


CALLS = dict(everything())
