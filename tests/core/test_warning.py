"""A warning names the line of the user's file, whichever function of the package was called there."""

import inspect
import warnings

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.methods.fuzzy.fit import fuzzy_c_means
from emcore.methods.kmeans.fit import kmeans
from emcore.methods.nmf.fit import nmf
from emcore.methods.pca.fit import pca

ROWS = np.random.default_rng(0).poisson(40, (20, 30, 40)).astype(np.uint16)
TWICE = np.repeat([[1.0, 2.0], [5.0, 1.0]], 20, axis=0)


def split():
    da = pytest.importorskip("dask.array")
    return da.from_array(ROWS, chunks=(5, 30, 20))


def in_large_chunks():
    da = pytest.importorskip("dask.array")
    return da.from_array(ROWS, chunks=(20, 30, 40))


def spectrum_image(data):
    return Signal(data, (Axis("y", 20, navigation=True), Axis("x", 30, navigation=True), Axis("energy", 40)))


SPLIT, LARGE = "signal axis in 2 chunks", "has chunks of"
DOORS = {
    "estimator, split axis": (SPLIT, split, lambda data: emcore.KMeans(2, max_iter=2).fit(data)),
    "estimator's predict, split axis": (SPLIT, split, lambda data: KMEANS.predict(data)),
    "estimator's transform, split axis": (SPLIT, split, lambda data: KMEANS.transform(data)),
    "function, split axis": (SPLIT, split, lambda data: kmeans(data, 2, max_iter=2)),
    "function of PCA, split axis": (SPLIT, split, lambda data: pca(data, 2)),
    "function of NMF, split axis": (SPLIT, split, lambda data: nmf(data, 2, max_iter=2)),
    "workflow, split axis": (SPLIT, split, lambda data: emcore.unmix(spectrum_image(data), 2)),
    "estimator, chunks": (LARGE, in_large_chunks, lambda data: emcore.KMeans(2, max_iter=2, memory="150 kB").fit(data)),
    "function, chunks": (LARGE, in_large_chunks, lambda data: kmeans(data, 2, max_iter=2, memory="150 kB")),
    "function of PCA, chunks": (LARGE, in_large_chunks, lambda data: pca(data, 2, memory="250 kB")),
    "fit of NMF": ("iterations 1 ", lambda: ROWS[0], lambda data: emcore.NMF(2, max_iter=1).fit(data)),
    "fit_transform of NMF": (
        "iterations 1 ",
        lambda: ROWS[0],
        lambda data: emcore.NMF(2, max_iter=1).fit_transform(data),
    ),
    "fit of fuzzy c-means": (
        "iterations 1 ",
        lambda: ROWS[0],
        lambda data: emcore.FuzzyCMeans(2, max_iter=1).fit(data),
    ),
    "fit_predict of fuzzy c-means": ("coincide", lambda: TWICE, lambda data: emcore.FuzzyCMeans(3).fit_predict(data)),
    "function of fuzzy c-means": ("coincide", lambda: TWICE, lambda data: fuzzy_c_means(data, 3)),
    "fit of k-means": ("distinct clusters", lambda: TWICE, lambda data: emcore.KMeans(3).fit(data)),
    "fit_predict of k-means": ("distinct clusters", lambda: TWICE, lambda data: emcore.KMeans(3).fit_predict(data)),
    "fit_transform of k-means": ("distinct clusters", lambda: TWICE, lambda data: emcore.KMeans(3).fit_transform(data)),
}
KMEANS = emcore.KMeans(2, max_iter=2).fit(ROWS.reshape(-1, 40))


@pytest.mark.usefixtures("nothing_is_loaded")
@pytest.mark.parametrize("door", DOORS)
def test_a_warning_names_the_callers_line(door):
    message, data, call = DOORS[door]
    given = data()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(given)
    observed = [each for each in caught if message in str(each.message)]
    assert observed
    source, first = inspect.getsourcelines(call)
    for each in observed:
        assert each.filename == __file__
        assert first <= each.lineno < first + len(source)
