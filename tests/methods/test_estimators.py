"""What all estimators do alike: a fit that fails leaves nothing fitted; what there is no memory for is refused."""

import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans
from emcore.methods.nmf.fit import nmf_maps

DATA = np.random.default_rng(0).poisson(5, (60, 6)).astype("f8")
ESTIMATORS = (NMF(2, max_iter=500), PCA(2), KMeans(2, n_init=1), FuzzyCMeans(2), GustafsonKessel(2))


def asked(model, X):
    return model.transform(X) if hasattr(model, "transform") else model.predict(X)


@pytest.mark.parametrize("model", ESTIMATORS, ids=lambda model: type(model).__name__)
def test_an_estimator_whose_fit_failed_is_not_fitted(model):
    bad = DATA.copy()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.fit(bad)
    with pytest.raises(NotFittedError):
        asked(model, DATA)
    model.fit(DATA)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(bad[:, :4])
    with pytest.raises(NotFittedError):  # what it had found was of other features
        asked(model, DATA[:, :4])


@pytest.mark.parametrize("shape", [(6, 10, 6), (3, 5, 4, 6)])
@pytest.mark.parametrize("model", ESTIMATORS, ids=lambda model: type(model).__name__)
def test_a_scan_in_memory_is_rows_as_one_in_a_memory_map_is(tmp_path, model, shape):
    scan, basis = DATA.reshape(shape), type(model)._basis
    np.save(tmp_path / "scan.npy", scan)
    stored = np.load(tmp_path / "scan.npy", mmap_mode="r")
    rows = asked(model.fit(DATA), DATA)
    found = getattr(model, basis)
    backwards = np.ascontiguousarray(scan[:, ::-1])[:, ::-1]  # strides of no matrix
    for X in (scan, stored, backwards, da.from_array(scan, chunks=(2, *shape[1:]))):
        np.testing.assert_array_equal(asked(model.fit(X), X), rows)
        np.testing.assert_array_equal(getattr(model, basis), found)
    assert model.n_features_in_ == 6


@pytest.mark.parametrize("model", ESTIMATORS, ids=lambda model: type(model).__name__)
def test_a_scan_is_checkpointed_and_checked_as_rows_are(tmp_path, model):
    bad = DATA.reshape(6, 10, 6).copy()
    bad[2, 3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.fit(bad)
    with pytest.raises(ValueError, match="is empty"):
        model.fit(bad[:, :0])
    fitted = clone(model).set_params(checkpoint=tmp_path / "job.npz").fit(DATA.reshape(6, 10, 6))
    assert getattr(fitted, fitted._basis).shape == (2, 6)


def test_rows_of_the_smallest_numbers_have_maps():
    X = DATA.copy()
    X[5], X[7], X[9] = X[5] * 1e-309, X[7] * 1e-320, X[9] * 1e-200
    for loss in ("frobenius", "kullback-leibler"):
        maps = nmf_maps(X, np.eye(2, 6) + 0.1, loss=loss)
        assert np.isfinite(maps).all()
        expected = nmf_maps(DATA[9:10], np.eye(2, 6) + 0.1, loss=loss)[0]
        np.testing.assert_allclose(maps[9] * 1e200, expected, rtol=1e-5)


# A process of its own, as the limit is one of a process.
CODE = """
import resource, sys
import numpy as np
import emcore
from emcore.methods.kmeans.fit import distances

rows = np.zeros((2_000_000, 3), np.uint8)
rows[::7] = 1
emcore.FuzzyCMeans(2, max_iter=2).fit(rows[:100] + np.arange(100, dtype=np.uint8)[:, None])
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (100 << 20),) * 2)
work = {
    "distances": lambda: distances(rows, np.eye(3)[[0, 1, 2] * 10]),
    "memberships": lambda: emcore.FuzzyCMeans(50, max_iter=2).fit(rows),
    "ellipsoids": lambda: emcore.GustafsonKessel(50, max_iter=2).fit(rows),
    "components": lambda: emcore.NMF(50, max_iter=2, init="random").fit(rows.reshape(200_000, 30)),
}
try:
    work[sys.argv[1]]()
    print("fits")
except MemoryError as error:
    print(f"MemoryError: {error}")
"""


@pytest.mark.linux
@pytest.mark.parametrize("name", ["distances", "memberships", "ellipsoids", "components"])
def test_what_there_is_no_memory_for_is_an_error_that_says_how_much_it_takes(name):
    done = subprocess.run([sys.executable, "-c", CODE, name], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "MemoryError: " in done.stdout
    assert "more than the system gives" in done.stdout
