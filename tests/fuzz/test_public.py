"""Whatever a public function is given, it answers or says what is wrong: never a hang, a panic or another exception."""

import faulthandler
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

import emcore
from emcore import detectors, preprocessing, validity

TYPES = (
    "u1",
    "u2",
    "u4",
    "u8",
    "i1",
    "i2",
    "i4",
    "i8",
    "f2",
    "f4",
    "f8",
    "?",
    ">u2",
    ">f4",
    ">f8",
    "c8",
    "O",
    "U3",
    "M8[s]",
)
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 3, 2**31, 2**63 - 1, 10**400, -0.5, 0.0, 0.5, 1e-320, 1e300, float("nan"), float("inf"),
    "", "auto", "none", "hann", "kmeans", "mixture", "x", b"x", (), (1,), (2, 3), (0, -1), [4, 4], {}, object, 1j,
)  # fmt: skip
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
# What writes, reads, or changes how all calls run is tried by tests of its own.
LEFT_OUT = {
    "detectors.sum_by_label",
    "detectors.masked_beam",
    "set_num_threads",
    "num_threads",
    "progress",
    "read",
    "load_result",
    "get_num_threads",
}
PATHS = {"checkpoint", "out", "labels_path", "overwrite"}


@st.composite
def some_array(draw: st.DrawFn) -> Any:
    """Of up to five axes of few points, any type, strides and values."""
    shape = draw(st.lists(st.sampled_from((0, 1, 2, 3, 5, 8, 9, 12, 16)), max_size=5).map(tuple))
    while np.prod(shape, dtype=float) > 3e4:
        shape = shape[1:]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    kind = np.dtype(draw(st.sampled_from(TYPES)))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = draw(
            st.sampled_from((rng.poisson(3, shape), rng.normal(size=shape), np.zeros(shape), np.full(shape, 7)))
        )
        if kind.kind in "fc":
            values = values * draw(st.sampled_from((1.0, 1e-42, 1e-300, 3e38, 1e150, 1e308)))
            if values.size and draw(st.booleans()):
                values = values.astype("f8").copy()
                values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from((np.nan, np.inf, -np.inf)))
        try:
            array = np.asarray(values).astype(kind)
        except (ValueError, TypeError):
            array = np.zeros(shape, kind)
    view = draw(st.sampled_from(("", "flip", "step", "transpose", "fortran", "readonly", "list", "masked")))
    if view == "flip" and array.ndim:
        return array[..., ::-1]
    if view == "step" and array.ndim:
        return array[::2]
    if view == "readonly":
        array.flags.writeable = False
    if view == "masked":
        return np.ma.masked_array(array, mask=False)
    return {"transpose": array.T, "fortran": np.asfortranarray(array), "list": array.tolist()}.get(view, array)


def sensible(ndim: int) -> st.SearchStrategy[Any]:
    """Counts that most functions take, so that they are computed with."""
    shape = {1: (24,), 2: (24, 18), 3: (8, 9, 16), 4: (6, 7, 16, 16)}[ndim]
    return st.builds(
        partial(counts, shape),
        st.integers(0, 9),
        st.sampled_from(("u1", "u2", "i2", "f4", "f8")),
        st.sampled_from((1,) * 9 + (1e-30, 1e30)),
    )


def counts(shape: tuple[int, ...], seed: int, kind: str, scale: float) -> Any:
    """Around five times the scale, which of whole numbers is 1."""
    values = np.random.default_rng(seed).poisson(5, shape)
    return values.astype(kind) if kind[0] != "f" else (values * scale).astype(kind)


def usual(owner: str, name: str, default: Any) -> st.SearchStrategy[Any]:
    """What a parameter takes."""
    fixed = {
        ("n_components", "evr"): st.just(0.5 ** np.arange(1, 12)),
        ("phase_map", "references"): st.just(np.eye(3, 16) + 1),
        ("local_symmetry", "image"): st.just(np.random.default_rng(0).normal(size=(90, 80))),
        ("local_symmetry_scores", "image"): st.just(np.random.default_rng(0).normal(size=(90, 80))),
        ("local_symmetry_series", "frames"): st.just(np.random.default_rng(0).normal(size=(2, 90, 80))),
        ("detectors.virtual_images", "masks"): st.just(detectors.disc((16, 16), (8, 8), 3)),
        ("detectors.masked_beam", "mean"): st.just(np.pad(np.full((5, 5), 900.0), 6, constant_values=3)),
        ("detectors.find_beam", "pattern"): st.just(np.pad(np.full((5, 5), 900.0), 6, constant_values=3)),
        ("validity.fuzzy_validity", "memberships"): st.just(np.full((24, 3), 1 / 3)),
        ("validity.fuzzy_validity", "centers"): st.just(np.arange(54.0).reshape(3, 18)),
    }
    if (owner, name) in fixed:
        return fixed[owner, name]
    if owner == "correlate" and name == "signals":
        return st.tuples(sensible(3), sensible(4)).map(lambda both: [both[0][:6, :7], both[1]])
    if name in AXES and default is inspect.Parameter.empty:
        data = sensible(AXES[name])
        if owner in ("choose_n_clusters", "preprocessing.quantiles", "preprocessing.mean_and_variance"):
            return sensible(2)
        if owner in ("merge_similar", "mean_signals"):
            return sensible(3) if name == "data" else st.just(np.arange(72).reshape(8, 9) % 5)
        return st.lists(data, min_size=2, max_size=2) if owner == "merge_signals" else data
    if owner == "preprocessing.prepare" and name == "signals":
        words = st.sampled_from(("none", "sum", "max", "l2", "log1p", "sqrt", "root-sum"))
        return st.builds(preprocessing.Recipe, sensible(2), normalize=words)
    if default is inspect.Parameter.empty:
        return st.just(REQUIRED.get(name, 3))
    small = {"window": 8, "n_clusters": 2, "n_components": 2}
    if name in small and not isinstance(default, str):
        return st.just(small[name])
    return st.sampled_from([*WORDS.get(f"{owner}.{name}", ()), default, default])


def arguments(owner: str, parameters: Iterable[inspect.Parameter]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments that fit, but for up to two."""
    parameters = [each for each in parameters if each.kind is not each.VAR_KEYWORD and each.name not in PATHS]
    odd = st.one_of(some_array(), st.sampled_from(ODD), st.integers(-2, 40), st.floats(width=32))
    named = [each.name for each in parameters]

    def with_odd(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
        drawn = {each.name: usual(owner, each.name, each.default) for each in parameters}
        return st.fixed_dictionaries(drawn | dict.fromkeys(names, odd))

    return st.lists(st.sampled_from(named), max_size=2, unique=True).flatmap(with_odd)


def of_function(owner: str, function: Callable[..., Any]) -> st.SearchStrategy[Callable[[], Any]]:
    """Calls of it."""
    given = arguments(owner, inspect.signature(function).parameters.values())
    return given.map(lambda arguments: partial(function, **arguments))


def fit_and_ask(estimator: type, settings: dict[str, Any], X: Any, other: Any) -> None:
    """A fit, and what is asked of it afterwards, even if it failed."""
    model = estimator(**settings)
    errors = []
    for ask in (
        lambda: model.fit(X),
        *(partial(getattr(model, name), other) for name in ("transform", "predict") if hasattr(model, name)),
    ):
        try:
            ask()
        except Exception as error:
            errors.append(error)
    for error in errors:
        raise error


def of_estimator(estimator: type) -> st.SearchStrategy[Callable[[], Any]]:
    """Fits of it."""
    settings = arguments(estimator.__name__, inspect.signature(estimator).parameters.values())
    data = st.one_of(sensible(2), sensible(2), some_array())
    return st.builds(partial, st.just(fit_and_ask), st.just(estimator), settings, data, data)


def everything() -> Iterator[tuple[str, st.SearchStrategy[Callable[[], Any]]]]:
    """Every public function and estimator by name, and calls of it."""
    for name in emcore.__all__:
        each = getattr(emcore, name)
        if isinstance(each, type) and hasattr(each, "fit"):
            yield name, of_estimator(each)
        elif inspect.isfunction(each) and name not in LEFT_OUT:
            yield name, of_function(name, each)
    for module in (detectors, preprocessing, validity):
        tail = module.__name__.rpartition(".")[2]
        for name in dir(module):
            each = getattr(module, name)
            ours = inspect.isfunction(each) and each.__module__.endswith(f".{tail}") and not name.startswith("_")
            if ours and f"{tail}.{name}" not in LEFT_OUT:
                yield f"{tail}.{name}", of_function(f"{tail}.{name}", each)


CALLS = dict(everything())
ANSWERS = (ValueError, TypeError, MemoryError, OSError, NotFittedError)
EXAMPLES = int(os.environ.get("EMCORE_FUZZ", "12"))
"""Calls of each; `make fuzz` makes more."""
LONGEST = 60
"""Seconds after which a call is taken to hang: the process ends and says where."""


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_call_answers_or_says_what_is_wrong(name, data):
    call = data.draw(CALLS[name])
    said = "an answer"
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            call()
    except ANSWERS as error:
        said = str(error).strip()
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert said
