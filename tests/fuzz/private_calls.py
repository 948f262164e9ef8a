"""Calls of every function of the extension, with arguments that fit but for a few."""

from collections.abc import Callable
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from sizes import PIXELS, REFUSED, Sizes
from values import ODD
from windows import Drawn, scores, spectra, spectra_settings, translations, turns, volume, volume_settings

from emcore import _emcore

METRICS = ("euclidean", "cosine")
LOSSES = ("frobenius", "kullback-leibler")


class Passes:
    """Passes out of core that return arrays of the right sizes, or now and then of others, or something else."""

    def __init__(self, sizes: Sizes, answers: dict[str, Callable[[], Any]], **attributes: Any) -> None:
        self._sizes, self._answers = sizes, answers
        vars(self).update(attributes)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self._answers:
            raise AttributeError(name)
        return lambda *_: self._sizes.numbers.choice(ODD) if self._sizes.seldom() else self._answers[name]()


def penalty(s: Sizes) -> SimpleNamespace:
    return SimpleNamespace(l1=s.number(0.1 * s.numbers.randrange(2)), l2=s.number(0.1 * s.numbers.randrange(2)))


def parameters(s: Sizes) -> SimpleNamespace:
    return SimpleNamespace(
        solver=s.word("hals", "mu"), loss=s.word(*LOSSES), inner_sweeps=s.numbers.randrange(4),
        max_iter=s.numbers.randrange(6), tol=s.number(1e-3), on_w=penalty(s), on_h=penalty(s),
        fixed=s.numbers.randrange(max(s.k, 1) + 1),
    )  # fmt: skip


def factors(s: Sizes) -> tuple[Any, Any, Any]:
    data = s.data()
    return data, s.array(s.n, s.k, kinds=s.real(data)), s.matrix(s.k, s.d)


def nmf_state(s: Sizes) -> Any:
    if s.numbers.randrange(3):
        return None
    names = ("loss", "norm", "violation", "start", "last")
    return {"n_iter": s.count(2), "converged": bool(s.numbers.randrange(2)), **{name: s.number(1.0) for name in names}}


def near(s: Sizes) -> dict[str, Any]:
    return {"metric": s.word(*METRICS), "weights": s.perhaps(lambda: s.vector(s.n))}


def attempts(s: Sizes) -> Drawn:
    chosen = s.perhaps(lambda: (s.matrix(s.k, s.d), s.vector(s.n), s.vector(s.n)))
    return (s.data(), s.matrix(s.k, s.d), chosen), near(s)


def kmeans_out_of_core(s: Sizes) -> Drawn:
    answers = {
        "assign": lambda: (s.matrix(s.k, s.d), s.vector(s.k), s.number(9.0), s.count(1), s.number(1.0)),
        "farthest": lambda: (s.number(1.0), s.matrix(1, s.d), np.array([0]), s.vector(1)),
        "finish": lambda: s.number(1.0),
        "save": lambda: None,
    }
    state = {"centers": s.matrix(s.k, s.d), "n_iter": s.count(0), "tol": s.number(0.1), "converged": False,
             "inertia": s.number(float("nan"))}  # fmt: skip
    named = {"features": s.side(s.d), "double": bool(s.numbers.randrange(2)), "max_iter": s.numbers.randrange(6),
             "tol": s.number(1e-3), "metric": s.word(*METRICS)}  # fmt: skip
    return (Passes(s, answers), state), named


def seeds_out_of_core(s: Sizes) -> Drawn:
    k = s.count(min(s.k, s.n))
    answers = {"attempt": lambda: s.vector(1), "choose": lambda: None}
    passes = Passes(s, answers, nearest=s.perhaps(lambda: s.vector(s.n)), weights=s.perhaps(lambda: s.vector(s.n)))
    return (passes, [], k), {"rows": s.side(s.n), "draws": draws(s, k)}


def draws(s: Sizes, k: Any) -> Any:
    try:
        count = min(_emcore.kmeans_draws(k), 99)
    except REFUSED:
        count = 3
    return s.vector(count) if s.seldom() else np.array([s.numbers.random() for _ in range(count)])


def kmeans_seeds(s: Sizes) -> Drawn:
    k = s.count(min(s.k, s.n))
    return (s.data(), k), {"draws": draws(s, k), **near(s)}


def nmf_out_of_core(s: Sizes) -> Drawn:
    answers = {
        "mean": lambda: s.number(1.0),
        "visit": lambda: (s.vector(s.k * s.d), s.vector(s.k * s.k), s.vector(s.k), [s.number(1.0) for _ in range(3)]),
        "loss": lambda: s.number(1.0),
        "save": lambda: None,
    }
    w = s.array(s.n, s.k, kinds=("f4", "f8"))
    return (Passes(s, answers), (s.n, s.d), w, s.matrix(s.k, s.d), parameters(s), s.weights(), nmf_state(s)), {}


def pure_out_of_core(s: Sizes) -> Drawn:
    answers = {"farthest": lambda: (s.number(1.0), s.numbers.randrange(s.n)), "row": lambda: s.vector(s.d)}
    return (Passes(s, answers), s.side(s.d), s.count(min(s.k, s.d)), s.weights()), {}


def pca_named(s: Sizes) -> dict[str, Any]:
    return {
        "components": s.count(min(s.k, s.n, s.d)), "center": bool(s.numbers.randrange(2)), "weights": s.weights(),
        "solver": s.word("auto", "exact", "randomized"), "seed": s.count(s.numbers.randrange(9)),
    }  # fmt: skip


def pca_out_of_core(s: Sizes) -> Drawn:
    answers = {
        "moments": lambda: (s.vector(s.d), s.vector(s.d)),
        "gram": lambda: np.eye(s.d) if s.numbers.randrange(4) else s.matrix(s.d, s.d),
        "xt_x_q": lambda: s.matrix(s.d, s.k),
        "triangle": lambda: s.matrix(s.k, s.k),
    }
    return (Passes(s, answers), (s.n, s.d)), {"double": bool(s.numbers.randrange(2)), **pca_named(s)}


def at_low_rank(s: Sizes) -> Drawn:
    named = {
        "into": s.matrix(s.d, s.k), "back": s.matrix(s.k, s.d), "toward": s.number(1.0), "varying": s.number(1.0),
        "features": s.perhaps(lambda: s.array(s.d, kinds=("?",))), "measured": s.array(s.n, kinds=("?",)),
        "clip": bool(s.numbers.randrange(2)),
    }  # fmt: skip
    return (s.data(), s.array(s.n, s.d, kinds=PIXELS)), named


def covariances(s: Sizes) -> Any:
    return s.perhaps(
        lambda: SimpleNamespace(
            rho=[s.number(1.0) for _ in range(s.side(s.k))], gamma=s.number(0.1), beta=s.number(1e9)
        )
    )


def cmeans_named(s: Sizes) -> dict[str, Any]:
    return {
        "m": s.number(2.0),
        "max_iter": s.numbers.randrange(6),
        "tol": s.number(1e-3),
        "covariances": covariances(s),
    }


def cmeans(s: Sizes) -> Drawn:
    data, centers = s.data(), s.perhaps(lambda: s.matrix(s.k, s.d))
    memberships = s.array(s.n, s.k, kinds=s.real(data)) if (centers is None) ^ s.seldom() else None
    return (data,), {
        "centers": centers,
        "memberships": memberships,
        "weights": s.perhaps(lambda: s.vector(s.n)),
        **cmeans_named(s),
    }


def model(s: Sizes, kind: str) -> dict[str, Any]:
    def array(*sides: int) -> Any:
        return s.array(*sides, kinds=(kind,))

    whitening = s.perhaps(lambda: array(s.k * s.d * s.d))
    return {"m": s.number(2.0), "offset": array(s.d), "factor": array(s.k), "centers": array(s.k, s.d),
            "whitening": whitening}  # fmt: skip


def cmeans_visit(s: Sizes) -> Drawn:
    data = s.data()
    (kind,) = s.real(data)

    def members() -> Any:
        return s.numbers.choice((None, model(s, kind), s.array(s.n, s.k, kinds=(kind,))))

    return (data, members(), model(s, kind), members(), s.perhaps(lambda: s.vector(s.n))), {}


def cmeans_state(s: Sizes) -> Any:
    if s.numbers.randrange(3):
        return None
    whole = [np.zeros(0, np.uintp), np.zeros(s.k, np.uintp)]
    full = s.numbers.randrange(2)
    return {
        "stage": s.word("memberships", "spherical", "base", "covariances", "iterations"),
        "from_memberships": bool(s.numbers.randrange(2)), "spherical": s.count(1), "base": s.number(1.0),
        "centers": s.vector(s.k * s.d), "whitening": s.vector(full * s.k * s.d * s.d),
        "covariances": s.vector(full * s.k * s.d * s.d), "former_centers": s.vector(full * s.k * s.d),
        "former_whitening": s.vector(full * s.k * s.d * s.d), "mass": s.vector(full * s.k),
        "products": s.vector(full * s.k * (s.d + 1)), "objective": s.vector(1), "converged": False,
        "conditioned": s.numbers.choice(whole), "empty": s.numbers.choice(whole),
    }  # fmt: skip


def cmeans_out_of_core(s: Sizes) -> Drawn:
    def sums() -> Any:
        size = s.numbers.choice((s.k * (s.d + 1), s.k * s.d, s.k * s.d * (s.d + 3) // 2))
        return {"mass": s.vector(s.k), "products": s.vector(size), "objective": s.number(1.0), "change": s.number(0.1)}

    answers = {"moments": lambda: (s.vector(s.d), s.vector(s.d)), "visit": sums, "save": lambda: None}
    centers = s.perhaps(lambda: s.matrix(s.k, s.d))
    named = {"double": bool(s.numbers.randrange(2)), "centers": centers, "state": cmeans_state(s), **cmeans_named(s)}
    return (Passes(s, answers), (s.n, s.d), s.count(s.k)), named


def memberships(s: Sizes) -> Drawn:
    shaped = s.numbers.randrange(2)
    named = {"m": s.number(2.0), "covariances": s.array(s.k, s.d, s.d) if shaped else None,
             "rho": [s.number(1.0) for _ in range(s.side(s.k))] if shaped else None}  # fmt: skip
    return (s.data(), s.matrix(s.k, s.d)), named


def slic(s: Sizes) -> Drawn:
    shape = s.shape()
    seeds = s.matrix(s.k, 2)
    if not s.seldom():
        seeds = np.array([[s.numbers.uniform(0, side) for side in shape] for _ in range(s.k)])
    named = {
        "compactness": s.number(0.5), "adaptive": bool(s.numbers.randrange(2)), "n_iter": s.numbers.randrange(5),
        "spacing": s.number(2.0), "reach": (s.number(4.0), s.number(4.0)), "connected": s.perhaps(lambda: s.count(2)),
        "mask": s.perhaps(lambda: s.array(s.n, kinds=("?",))),
    }  # fmt: skip
    return (s.data(), shape, seeds), named


def borders(s: Sizes) -> Drawn:
    edges = s.numbers.randrange(8)
    pairs = s.array(edges, 2, kinds=("u4",))
    if isinstance(pairs, np.ndarray) and pairs.dtype == "u4" and not s.seldom():
        pairs = pairs % s.k
    return (s.count(s.k), pairs, s.array(edges), s.array(edges)), {}


def bruker(s: Sizes) -> Drawn:
    height, width, channels = (s.numbers.randrange(1, 4) for _ in range(3))
    data = bytearray(0x1A0 + s.numbers.randrange(90))
    data[0], data[4] = height, width
    for _ in range(s.numbers.randrange(40)):
        data[s.numbers.choice((0, 4, *range(0x1A0, len(data))))] = s.numbers.choice((0, 1, 2, 4, 8, 255))
    return (bytes(data), s.array(height, width, channels, kinds=("u1", "u2", "u4"))), {}


def prepared(s: Sizes) -> Drawn:
    rows = s.perhaps(lambda: [s.numbers.randrange(-1 if s.seldom() else 0, s.n) for _ in range(3)])
    signals = [(s.array(s.n, s.d, kinds=PIXELS), rows, s.preparation()) for _ in range(s.numbers.randrange(3))]
    return (signals, [s.count(s.numbers.randrange(3)) for _ in range(3)]), {}


def take(signals: Any, which: Any) -> Any:
    rows = _emcore.PreparedRows(signals)
    return np.asarray(rows), len(rows), rows.take(which)


def sparse(s: Sizes) -> Drawn:
    return (*s.sparse(), [s.count(s.numbers.randrange(3)) for _ in range(3)]), {}


def take_sparse(*arguments: Any) -> Any:
    *parts, which = arguments
    rows = _emcore.SparseRows(*parts)
    return len(rows), rows.astype(np.float64).take(which), rows.tocsr()


def fitting(*make: Callable[[Sizes], Any], **named: Callable[[Sizes], Any]) -> Callable[[Sizes], Drawn]:
    """Arguments one by one."""
    return lambda s: (tuple(each(s) for each in make), {name: each(s) for name, each in named.items()})


data, vector_d = Sizes.data, lambda s: s.vector(s.d)
centers = lambda s: s.matrix(s.k, s.d)  # noqa: E731
product = fitting(data, lambda s: s.matrix(s.d, s.k), Sizes.weights)
shape3 = lambda s: tuple(s.count(side) for side in (9, 8, 10))  # noqa: E731
weighted = {"metric": lambda s: s.word(*METRICS), "weights": lambda s: s.perhaps(lambda: s.vector(s.n))}

DRAWN: dict[str, Callable[[Sizes], Drawn]] = {
    "value_range": fitting(data),
    "mean": fitting(data),
    "moments": fitting(data, lambda s: s.perhaps(lambda: s.vector(s.n))),
    "moments_and_range": fitting(data),
    "quantiles": fitting(data, lambda s: [s.number(q / 4) for q in range(s.numbers.randrange(5))]),
    "gram": fitting(data, vector_d, vector_d),
    "x_q": product,
    "xt_x_q": product,
    "xt_y": fitting(data, lambda s: s.matrix(s.n, s.k), Sizes.weights),
    "residuals": lambda s: (factors(s), {}),
    "correlations": fitting(data, centers),
    "spanning_tree": fitting(lambda s: s.array(s.n, s.d, kinds=("f4",)), lambda s: s.count(4)),
    "weighted_squares": fitting(data, vector_d),
    "at_low_rank": at_low_rank,
    "sum_by_label": fitting(data, Sizes.labels, lambda s: s.count(s.k)),
    "merge_similar": fitting(data, Sizes.labels, Sizes.shape, lambda s: s.count(s.k), lambda s: s.number(0.5)),
    "confidence": fitting(data, Sizes.labels, centers, vector_d),
    "bin_features": fitting(
        data, lambda s: s.array(s.d, kinds=("i4",)) if s.seldom() else np.arange(s.d, dtype="i4") // 2,
        lambda s: s.count(s.d), lambda s: s.count((s.d + 1) // 2),
    ),
    "merge_borders": borders,
    "slic": slic,
    "spectra_shape": fitting(lambda s: (s.count(16), s.count(12)), spectra_settings),
    "power_spectra": spectra,
    "translations_shape": fitting(lambda s: (s.count(16), s.count(12)), translations),
    "translation_scores": lambda s: scores(s, translations(s), _emcore.translations_shape),
    "turns_shape": fitting(lambda s: (s.count(16), s.count(12)), turns),
    "turn_scores": lambda s: scores(s, turns(s), _emcore.turns_shape),
    "volume_shape": fitting(shape3, volume_settings),
    "volume_spectra": volume,
    "bruker_spectra": bruker,
    "PreparedRows": prepared,
    "SparseRows": sparse,
    "nmf": lambda s: ((*factors(s), parameters(s), s.weights()), {}),
    "nmf_visit": lambda s: ((*factors(s), parameters(s), s.weights(), bool(s.numbers.randrange(2)), s.number(1.0)), {}),
    "nmf_maps": lambda s: (factors(s), {"loss": s.word(*LOSSES), "max_iter": s.numbers.randrange(6),
                           "tol": s.number(1e-3), "penalty": penalty(s), "weights": s.weights()}),
    "nmf_loss": lambda s: (factors(s), {"loss": s.word(*LOSSES), "weights": s.weights()}),
    "nmf_out_of_core": nmf_out_of_core,
    "pure_rows": fitting(data, lambda s: s.count(min(s.k, s.d)), Sizes.weights, lambda s: bool(s.numbers.randrange(2))),
    "pure_rows_visit": fitting(data, lambda s: s.vector(2 * s.n), Sizes.weights, Sizes.weights),
    "pure_rows_out_of_core": pure_out_of_core,
    "pca": lambda s: ((s.data(),), pca_named(s)),
    "pca_out_of_core": pca_out_of_core,
    "pca_is_exact": fitting(lambda s: (s.count(s.n), s.count(s.d)), lambda s: s.count(s.k),
                            lambda s: s.word("auto", "exact", "randomized")),
    "kmeans": lambda s: ((s.data(), centers(s)), {"max_iter": s.count(3), "tol": s.number(1e-3), **near(s)}),
    "kmeans_draws": fitting(lambda s: s.count(s.k)),
    "kmeans_seeds": kmeans_seeds,
    "kmeans_nearest": fitting(data, centers, **weighted),
    "kmeans_distances": fitting(data, centers, metric=weighted["metric"]),
    "kmeans_spread": fitting(data, Sizes.labels, lambda s: s.count(s.k), metric=weighted["metric"]),
    "kmeans_visit": fitting(data, centers, Sizes.labels, **weighted),
    "kmeans_farthest": fitting(data, centers, Sizes.labels, lambda s: s.count(2), **weighted),
    "kmeans_attempts": attempts,
    "kmeans_out_of_core": kmeans_out_of_core,
    "kmeans_seeds_out_of_core": seeds_out_of_core,
    "cmeans": cmeans,
    "cmeans_visit": cmeans_visit,
    "cmeans_labels": fitting(lambda s: s.array(s.n, s.k, kinds=("f4", "f8"))),
    "cmeans_farthest_from_one": fitting(lambda s: s.array(s.n, s.k, kinds=("f4", "f8"))),
    "cmeans_out_of_core": cmeans_out_of_core,
    "memberships": memberships,
}  # fmt: skip
"""Arguments of every function by its name."""

WRITTEN = {
    "nmf": (1, 2), "nmf_visit": (1,), "nmf_maps": (1,), "nmf_out_of_core": (2, 3), "power_spectra": (2,),
    "translation_scores": (2,), "turn_scores": (2,), "volume_spectra": (2, 3), "bruker_spectra": (1,),
    "pure_rows_visit": (1,), "at_low_rank": (1,),
}  # fmt: skip
"""Which arguments a function writes into, as it says."""


def of_binding(name: str, numbers: Random) -> Callable[[], Any]:
    """A call of a function of the extension."""
    positional, named = DRAWN[name](Sizes.drawn(numbers))
    called = {"PreparedRows": take, "SparseRows": take_sparse}.get(name, getattr(_emcore, name))
    return partial(called, *positional, **named)


CALLS = {f"_emcore.{name}": partial(of_binding, name) for name in DRAWN}
