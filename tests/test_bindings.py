"""The private functions of the extension: what does not fit or is not known is an error that says so, never a panic.

Those here are by hand; arguments of any kind are tried in `tests/fuzz`.
"""

import re
from typing import Any, NamedTuple

import numpy as np
import pytest

from emcore import _emcore
from emcore.methods.nmf.settings import Parameters, Penalty
from emcore.methods.power_spectra.settings import Settings

REFUSED = (ValueError, TypeError, OverflowError)
"""OverflowError: of integers that are negative or do not fit."""
NO = Penalty(), Penalty()
DATA = np.arange(40.0).reshape(8, 5)
IMAGE = np.zeros((16, 16), np.uint8)
SPECTRA = Settings(8, 4, "hann", True, "log", "none", 1.0)


class Preparation(NamedTuple):
    """As `emcore.outofcore.sources.Preparation`, with values of any kind."""

    features: Any = None
    normalize: Any = "none"
    offset: Any = None
    scale: Any = None


def spectra(**changes: Any) -> float:
    changed = SPECTRA._replace(**changes)
    return _emcore.power_spectra(IMAGE, changed, np.empty(np.prod(_emcore.spectra_shape(IMAGE.shape, changed)), "f4"))


def pca(solver: Any) -> Any:
    return _emcore.pca(DATA, components=2, center=True, weights=None, solver=solver, seed=0)


def pca_out_of_core(solver: Any) -> Any:
    options = {"double": True, "components": 2, "center": True, "weights": None, "solver": solver, "seed": 0}
    return _emcore.pca_out_of_core(object(), (8, 5), **options)


CHOICES = {
    "taper": lambda value: spectra(taper=value),
    "scale": lambda value: spectra(scale=value),
    "reduce": lambda value: spectra(reduce=value),
    "spectra_shape": lambda value: _emcore.spectra_shape((16, 16), SPECTRA._replace(taper=value)),
    "solver": pca,
    "solver of pca_out_of_core": pca_out_of_core,
    "normalize": lambda value: _emcore.PreparedRows([(DATA, None, Preparation(normalize=value))]),
}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["Exakt", "", "HANN", None, 3, ("none", 2), ("unheard of", 1.0), b"hann"])
def test_a_setting_that_is_not_known_is_refused_where_it_crosses_the_border(name, value):
    argument = "taper" if name == "spectra_shape" else name.split()[0]
    with pytest.raises(ValueError, match=rf"^{argument}: .*{re.escape(str(value)) if isinstance(value, str) else ''}"):
        CHOICES[name](value)


def test_a_setting_that_is_not_known_is_told_what_there_is():
    with pytest.raises(ValueError, match='"exact", "randomized"'):
        pca("exakt")
    with pytest.raises(ValueError, match=r"reduce: \"crop\" needs a value"):
        spectra(reduce="crop")
    with pytest.raises(ValueError, match=r"taper: \"hann\" takes no value"):
        spectra(taper=("hann", 3))
    with pytest.raises(TypeError):
        spectra(reduce=("crop", "wide"))


@pytest.mark.parametrize(
    "changes",
    [
        {"window": 0},
        {"window": 17},
        {"step": 0},
        {"reduce": ("crop", 0)},
        {"reduce": ("bin", 3)},
        {"reduce": ("bin", 0)},
    ]
    + [{"unit": unit} for unit in (0.0, -1.0, np.nan, np.inf)]
    + [{"scale": (kind, offset)} for kind in ("log-plus", "log-over") for offset in (0.0, -1.0, np.nan, np.inf)],
)
def test_spectra_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        spectra(**changes)


def test_an_output_that_cannot_be_written_is_refused():
    size = int(np.prod(_emcore.spectra_shape(IMAGE.shape, SPECTRA)))
    fixed = np.empty(size, np.float32)
    fixed.flags.writeable = False
    for output in (np.empty(size - 1, "f4"), np.empty(2 * size, "f4")[::2], np.empty(size, "f8"), fixed):
        with pytest.raises(REFUSED):
            _emcore.power_spectra(IMAGE, SPECTRA, output)


LABELS = np.array([0, 0, 1, 1, -1, 2, 2, 0], np.int32)
SEEDS = np.array([[0.0, 0.0], [1.0, 3.0]])
SLIC: dict[str, Any] = {
    "compactness": 0.5, "adaptive": False, "n_iter": 3, "spacing": 2.0, "reach": (4.0, 4.0), "mask": None,
    "connected": 2,
}  # fmt: skip
BAD = {
    "labels of another length": lambda: _emcore.sum_by_label(DATA, LABELS[1:], 3),
    "a label above k": lambda: _emcore.sum_by_label(DATA, LABELS, 2),
    "k that is no number of labels": lambda: _emcore.sum_by_label(DATA, LABELS, 2**40),
    "k whose sums would overflow": lambda: _emcore.sum_by_label(DATA, LABELS, 2**62),
    "no features": lambda: _emcore.sum_by_label(DATA[:, :0], LABELS, 3),
    "merging no label": lambda: _emcore.merge_similar(DATA, np.full(8, -1, np.int32), (2, 4), 0, 0.5),
    "merging rows of no features": lambda: _emcore.merge_similar(DATA[:, :0], LABELS, (2, 4), 3, 0.5),
    "a scan of another size": lambda: _emcore.merge_similar(DATA, LABELS, (2, 5), 3, 0.5),
    "a scan of more than all positions": lambda: _emcore.merge_similar(DATA, LABELS, (2**33, 2**33), 3, 0.5),
    "a correlation that is not a number": lambda: _emcore.merge_similar(DATA, LABELS, (2, 4), 3, np.nan),
    "means of other features": lambda: _emcore.confidence(DATA, LABELS, np.ones((5, 3)), np.ones(5)),
    "too few means": lambda: _emcore.confidence(DATA, LABELS, np.ones((2, 5)), np.ones(5)),
    "an origin of other features": lambda: _emcore.confidence(DATA, LABELS, np.ones((3, 5)), np.ones(4)),
    "seeds of three numbers": lambda: _emcore.slic(DATA, (2, 4), np.ones((2, 3)), **SLIC),
    "seeds of one number": lambda: _emcore.slic(DATA, (2, 4), np.ones((2, 1)), **SLIC),
    "no seeds": lambda: _emcore.slic(DATA, (2, 4), SEEDS[:0], **SLIC),
    "seeds outside the scan": lambda: _emcore.slic(DATA, (2, 4), SEEDS + 1, **SLIC),
    "a scan that overflows": lambda: _emcore.slic(DATA, (2**63, 2), SEEDS, **SLIC),
    "a mask of another length": lambda: _emcore.slic(DATA, (2, 4), SEEDS, **SLIC | {"mask": np.ones(7, bool)}),
    "a mask that leaves nothing": lambda: _emcore.slic(DATA, (2, 4), SEEDS, **SLIC | {"mask": np.zeros(8, bool)}),
    "no iteration": lambda: _emcore.slic(DATA, (2, 4), SEEDS, **SLIC | {"n_iter": 0}),
    "a reach that is not a number": lambda: _emcore.slic(DATA, (2, 4), SEEDS, **SLIC | {"reach": (np.nan, 4.0)}),
    "spectra of other features": lambda: _emcore.residuals(DATA, np.ones((8, 5)), np.ones((5, 2))),
    "maps of other rows": lambda: _emcore.residuals(DATA, np.ones((7, 2)), np.ones((2, 5))),
    "references of other features": lambda: _emcore.correlations(DATA, np.eye(4)),
    "no reference": lambda: _emcore.correlations(DATA, np.eye(5)[:0]),
    "a constant reference": lambda: _emcore.correlations(DATA, np.ones((2, 5))),
    "a mean of other features": lambda: _emcore.gram(DATA, np.ones(4), np.ones(5)),
    "weights of other features": lambda: _emcore.gram(DATA, np.ones(5), np.ones(0)),
    "a product with other features": lambda: _emcore.x_q(DATA, np.ones((4, 2))),
    "an offset of other features": lambda: _emcore.xt_x_q(DATA, np.ones((5, 2)), np.ones(6)),
    "a product with other rows": lambda: _emcore.xt_y(DATA, np.ones((5, 2))),
    "no quantile": lambda: _emcore.quantiles(DATA, []),
    "a quantile that is not a number": lambda: _emcore.quantiles(DATA, [np.nan]),
    "moments of nothing": lambda: _emcore.moments(DATA[:0]),
    "ranges of nothing": lambda: _emcore.moments_and_range(DATA[:, :0]),
    "a range of nothing": lambda: _emcore.value_range(DATA[:0]),
    "rows that are not there": lambda: _emcore.PreparedRows([(DATA, [8], Preparation())]),
    "no feature kept": lambda: _emcore.PreparedRows([(DATA, None, Preparation(features=[(2, 2)]))]),
    "features that are not there": lambda: _emcore.PreparedRows([(DATA, None, Preparation(features=[(2, 6)]))]),
    "features backwards": lambda: _emcore.PreparedRows([(DATA, None, Preparation(features=[(3, 2)]))]),
    "a scale of other features": lambda: _emcore.PreparedRows([(DATA, None, Preparation(scale=np.ones(4)))]),
    "signals of other rows": lambda: _emcore.PreparedRows([(rows, None, Preparation()) for rows in (DATA, DATA[1:])]),
    "no signal": lambda: _emcore.PreparedRows([]),
    "a row beyond the last": lambda: _emcore.PreparedRows([(DATA, None, Preparation())]).take([0, 8]),
    "a negative number of threads": lambda: _emcore.set_num_threads_here(-1),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case):
    with pytest.raises(REFUSED):
        BAD[case]()


def test_values_that_are_not_numbers_have_quantiles_of_some_kind():
    data = np.random.default_rng(0).normal(size=(400, 3))
    data[::3] = np.nan
    assert _emcore.quantiles(data, [0.2, 0.5]).shape == (3, 2)


class Passes:
    """Passes that PCA asks for, of which some return what they should not."""

    def __init__(self, **wrong: Any) -> None:
        self.wrong = wrong

    def moments(self) -> Any:
        return self.wrong.get("moments", (np.ones(6), np.ones(6)))

    def gram(self, mean: Any, weights: Any) -> Any:
        return self.wrong.get("gram", np.eye(6))

    def xt_x_q(self, q: Any, offset: Any) -> Any:
        return self.wrong.get("xt_x_q", q)

    def triangle(self, q: Any, offset: Any, shift: Any) -> Any:
        return self.wrong.get("triangle", np.eye(q.shape[1]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"moments": (np.ones(5), np.ones(6))},
        {"moments": (np.ones(6), np.ones(7))},
        {"moments": np.ones(6)},
        {"gram": np.eye(5)},
        {"gram": np.full((6, 6), np.nan)},
        {"gram": np.ones(6)},
        {"gram": None},
    ],
)
def test_passes_that_return_what_they_should_not_end_a_pca(wrong):
    options = {"double": True, "components": 2, "center": True, "weights": None, "solver": "exact", "seed": 0}
    assert _emcore.pca_out_of_core(Passes(), (9, 6), **options)[0].shape == (2, 6)
    with pytest.raises(REFUSED):
        _emcore.pca_out_of_core(Passes(**wrong), (9, 6), **options)


def test_products_of_another_shape_end_a_randomized_pca():
    options = {"double": False, "components": 2, "center": True, "weights": None, "solver": "randomized", "seed": 0}
    moments = (np.ones(40), np.ones(40))
    with pytest.raises(ValueError, match="passes: 39 rows of a sum; 40 are needed"):
        _emcore.pca_out_of_core(Passes(moments=moments, xt_x_q=np.ones((39, 8))), (90, 40), **options)


class EmptySums:
    def moments(self) -> Any:
        return np.zeros(3), np.ones(3)

    def visit(self, members: Any, about: Any, former: Any) -> Any:
        return {}


def cmeans_out_of_core(state: Any) -> Any:
    options = {"m": 2.0, "max_iter": 3, "tol": 1e-3, "covariances": None}
    return _emcore.cmeans_out_of_core(EmptySums(), (9, 3), 2, double=True, centers=np.eye(2, 3), state=state, **options)


@pytest.mark.parametrize(
    ("missing", "call"),
    {
        "mass": lambda: cmeans_out_of_core(None),
        "stage": lambda: cmeans_out_of_core({}),
        "centers": lambda: _emcore.kmeans_out_of_core(
            object(), {}, features=3, double=True, max_iter=3, tol=0.0, metric="euclidean"
        ),
        "n_iter": lambda: _emcore.nmf_out_of_core(
            object(),
            (9, 3),
            np.ones((9, 2)),
            np.ones((2, 3)),
            Parameters("hals", "frobenius", 1, 2, 0.0, *NO),
            None,
            {},
        ),
    }.items(),
)
def test_a_dictionary_that_lacks_an_item_is_refused_by_its_name(missing, call):
    with pytest.raises(ValueError, match=f"'{missing}' is missing from the dictionary"):
        call()


def test_a_panic_in_a_kernel_is_an_exception_that_says_so():
    huge = np.where(np.arange(256).reshape(16, 16) % 3, 1e308, -1e308)  # which no function lets through
    with pytest.raises(RuntimeError, match=r"internal error of emcore: .* please report it"):
        _emcore.power_spectra(huge, SPECTRA, np.empty(np.prod(_emcore.spectra_shape(huge.shape, SPECTRA)), "f4"))
