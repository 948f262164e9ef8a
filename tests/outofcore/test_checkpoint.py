"""A job that is killed goes on from its last full pass, with the same result; the file of another job is refused."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

from emcore import NMF, PCA, GustafsonKessel, KMeans
from emcore.methods.nmf.fit import nmf
from emcore.methods.pca.fit import pca
from emcore.outofcore.open import as_source

MODELS = {
    "pca": "PCA(3, svd_solver='randomized'",
    "hals": "NMF(3, max_iter=8, tol=0",
    "kl": "NMF(3, solver='mu', loss='kullback-leibler', max_iter=12, tol=1e-9",
    "pure": "NMF(3, init='spa', max_iter=3, tol=0",
    "k-means": "KMeans(4, max_iter=6, n_init=2, init='random'",
    "k-means++": "KMeans(5, max_iter=6, tol=0",
    "fuzzy": "FuzzyCMeans(3, max_iter=6, tol=0, n_init=2",
    "ellipsoids": "GustafsonKessel(2, max_iter=5, tol=0, gamma=0.1",
}

CODE = """
import os, signal, sys, warnings
import numpy as np
import emcore.outofcore.sources
from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans
from emcore.outofcore.engine import Passes
from emcore.outofcore.sources import Source

path, checkpoint, last, model, result = sys.argv[1:]
passes, loads = [0], [0]
call, load = Passes.__call__, Source.load

def counted(self, *args, **kwargs):
    passes[0] += 1
    loads[0] = 0
    return call(self, *args, **kwargs)

def loaded(self, block):
    loads[0] += 1
    if passes[0] == int(last) and loads[0] == 3:  # in the middle of the pass
        os.kill(os.getpid(), signal.SIGKILL)
    return load(self, block)

Passes.__call__, Source.load = counted, loaded
warnings.simplefilter("ignore")
data = np.load(path, mmap_mode="r")
emcore.outofcore.sources.SLAB_BYTES = data.nbytes // 5
found = eval(model)
found.set_params(checkpoint=checkpoint).fit(data)
kept = {name: np.asarray(value) for name, value in vars(found).items() if name.endswith("_") and value is not None}
np.savez(result, passes=passes[0], **kept)
"""


def run(tmp_path, model, checkpoint, last):
    result = tmp_path / f"{checkpoint}-{last}-result.npz"
    given = [tmp_path / "x.npy", tmp_path / checkpoint, str(last), model, result]
    done = subprocess.run([sys.executable, "-c", CODE, *map(str, given)], capture_output=True, text=True, timeout=100)
    assert done.returncode == (0 if last == 0 else -9), done.stderr
    return np.load(result) if last == 0 else None


def write(path, d=80, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.poisson(rng.gamma(0.5, 2, (400, 4)) @ rng.gamma(0.5, 1, (4, d))).astype("u2")
    np.save(path, data)
    return data


@pytest.mark.parametrize("name", MODELS)
def test_a_killed_job_repeats_only_the_pass_it_was_in(name, tmp_path):
    write(tmp_path / "x.npy", 6 if name == "ellipsoids" else 80)
    model = f"{MODELS[name]})"
    whole = run(tmp_path, model, "whole.npz", 0)
    # Fits end with passes that only say what was found, of which nothing is kept.
    last = {"pca": 4, "hals": 7, "pure": 2, "k-means": 5, "k-means++": 3, "fuzzy": 14}.get(name, 6)
    run(tmp_path, model, "killed.npz", last)
    resumed = run(tmp_path, model, "killed.npz", 0)
    assert int(resumed["passes"]) == int(whole["passes"]) - (last - 1)
    for key in set(whole.files) - {"passes"}:
        assert np.array_equal(whole[key], resumed[key]), key


def test_a_job_that_had_ended_gives_its_result_again(tmp_path):
    data = write(tmp_path / "x.npy")
    first = nmf(data, 3, max_iter=5, tol=0, checkpoint=tmp_path / "c.npz")
    again = nmf(data, 3, max_iter=5, tol=0, checkpoint=tmp_path / "c.npz")
    more = nmf(data, 3, max_iter=9, tol=0, checkpoint=tmp_path / "c.npz")
    assert np.array_equal(first.H, again.H)
    assert np.array_equal(first.W, again.W)
    assert np.array_equal(more.H, nmf(as_source(np.load(tmp_path / "x.npy", mmap_mode="r")), 3, max_iter=9, tol=0).H)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_components": 2}, "n_components was 3, and is 2"),
        ({"solver": "mu"}, "mu was False, and is True"),
        ({"inner_sweeps": 2}, "inner_sweeps was 1, and is 2"),
        ({"tol": 1e-3}, "tol was 0.0, and is 0.001"),
        ({"weights": np.arange(1, 81)}, "weights was None"),
        ({"slab": 9000}, "the cut into blocks .* was \\[1, 400\\], and is \\[8, 56\\]"),
        ({"X": "other"}, "a sample of the data"),
        ({"X": "shorter"}, "the shape of the data was \\[400, 80\\], and is \\[300, 80\\]"),
        ({"X": "floats"}, "the type of the data was uint16"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused_by_name(change, named, tmp_path, monkeypatch):
    data = write(tmp_path / "x.npy")
    others = {"other": write(tmp_path / "y.npy", seed=1), "shorter": data[:300], "floats": data.astype("f4")}
    given = {"X": data, "n_components": 3, "max_iter": 2, "tol": 0, "checkpoint": tmp_path / "c.npz"}
    nmf(**given)
    change = {key: others[value] if key == "X" else value for key, value in change.items()}
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", change.pop("slab", 1 << 20))
    with pytest.raises(ValueError, match=f"is of another job: {named}.*name another file"):
        nmf(**{**given, **change})


def test_files_that_are_no_checkpoints_are_refused_and_kept(tmp_path):
    data = write(tmp_path / "x.npy")
    for name in ("x.npy", "text.npz", "arrays.npz"):
        (tmp_path / "text.npz").write_text("not mine")
        np.savez(tmp_path / "arrays.npz", a=data)
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ValueError, match="is not a checkpoint: name another file"):
            pca(data, 2, checkpoint=tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(FileNotFoundError, match=r"folder .* does not exist"):
        pca(data, 2, checkpoint=tmp_path / "missing" / "c.npz")


def test_nothing_in_a_checkpoint_is_unpickled_and_no_other_file_is_left(tmp_path):
    data = write(tmp_path / "x.npy")
    for model in (PCA(2, svd_solver="randomized"), NMF(2), KMeans(2), GustafsonKessel(2)):
        model.set_params(checkpoint=tmp_path / f"{type(model).__name__}.npz")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(data[:, :8])
        with np.load(model.checkpoint, allow_pickle=False) as file:
            assert all(file[name].dtype.kind in "biufU" for name in file.files)
            assert json.loads(str(file["identity"]))["the shape of the data"] == [400, 8]
    assert len(list(tmp_path.iterdir())) == 5
