"""A job that is killed goes on from its last full pass, with the same result; the file of another job is refused."""

import gc
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans
from emcore._emcore import __version__
from emcore.methods.nmf.fit import nmf
from emcore.methods.pca.fit import pca
from emcore.methods.preprocessing import Recipe, prepare
from emcore.outofcore import checkpoint as module
from emcore.outofcore import engine, sources
from emcore.outofcore.checkpoint import Checkpoint, Job, Store
from emcore.outofcore.engine import Passes, begin
from emcore.outofcore.hashing import Digest
from emcore.outofcore.open import as_source, open_rows
from emcore.outofcore.reduction import PerRow
from emcore.outofcore.sources import Preparation, Source
from emcore.outofcore.stored import Stored

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

ESTIMATORS = {each.__name__: each for each in (NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans)}

CODE = """
import os, signal, sys, warnings
import numpy as np
import emcore.outofcore.sources
from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans
from emcore.outofcore.engine import Passes
from emcore.outofcore.sources import Source

path, checkpoint, last, model = sys.argv[1:]
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
eval(model).set_params(checkpoint=checkpoint).fit(data)
"""


def killed(tmp_path, model, checkpoint, last):
    """A job in a process of its own that is killed in the middle of pass `last`."""
    words = [str(tmp_path / "x.npy"), str(tmp_path / checkpoint), str(last), model]
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True, timeout=100)
    assert done.returncode == -9, done.stderr


def ended(tmp_path, model, checkpoint):
    """What the same job finds that is left alone, and its number of passes."""
    call, passes = Passes.__call__, []

    def counted(self, *args, **kwargs):
        passes.append(1)
        return call(self, *args, **kwargs)

    data = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(Passes, "__call__", counted)
        patch.setattr(sources, "SLAB_BYTES", data.nbytes // 5)
        observed = eval(model).set_params(checkpoint=tmp_path / checkpoint).fit(data)
    values = {
        name: np.asarray(value) for name, value in vars(observed).items() if name.endswith("_") and value is not None
    }
    return values, len(passes)


def write(path, d=80, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.poisson(rng.gamma(0.5, 2, (400, 4)) @ rng.gamma(0.5, 1, (4, d))).astype("u2")
    np.save(path, data)
    return data


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.posix
def test_a_killed_job_repeats_only_the_pass_it_was_in(name, tmp_path):
    write(tmp_path / "x.npy", 6 if name == "ellipsoids" else 80)
    model = f"{MODELS[name]})"
    whole, passes = ended(tmp_path, model, "whole.npz")
    # Fits end with passes that only say what was found, of which nothing is kept.
    last = {"pca": 4, "hals": 7, "pure": 2, "k-means": 5, "k-means++": 3, "fuzzy": 14}.get(name, 6)
    killed(tmp_path, model, "killed.npz", last)
    resumed, passes_after = ended(tmp_path, model, "killed.npz")
    assert passes_after == passes - (last - 1)
    assert set(resumed) == set(whole)
    for key in whole:
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
        ({"solver": "mu"}, "solver was hals, and is mu"),
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


class Killed(BaseException):
    """Nothing catches it."""


def kill_in_pass(number, monkeypatch):
    """The job dies in the middle of this pass."""
    call, made = Passes.__call__, []

    def counted(self, function, *args, **options):
        def dying(x, state, index, *rows):
            if index > 0:
                raise Killed
            return function(x, state, index, *rows)

        made.append(function)
        return call(self, dying if len(made) == number else function, *args, **options)

    monkeypatch.setattr(Passes, "__call__", counted)


def chosen(place, folder, chunks=(100, -1)):
    """The data of a file, as they are found in one of several places."""
    stored = np.load(folder / "x.npy", mmap_mode="r")
    if place == "Dask":
        return pytest.importorskip("dask.array").from_array(stored, chunks=chunks)
    if place == "chosen rows":  # of the middle; that which changes is in a slab without any
        return prepare(Recipe(as_source(stored), rows=np.arange(150, 350)))
    return as_source(stored) if place == "memory map" else np.array(stored)


@pytest.mark.parametrize("place", ["memory map", "memory", "Dask", "chosen rows"])
@pytest.mark.parametrize("name", MODELS)
def test_data_that_changed_in_any_row_are_refused_before_the_first_pass_and_the_file_is_kept(
    name, place, tmp_path, monkeypatch
):
    data = write(tmp_path / "x.npy", 6 if name == "ellipsoids" else 80)
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", data.nbytes // 5)

    def fit():
        model = eval(f"{MODELS[name]})", ESTIMATORS).set_params(checkpoint=tmp_path / "c.npz")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(chosen(place, tmp_path))

    with monkeypatch.context() as killing:
        kill_in_pass(3, killing)
        with pytest.raises(Killed):
            fit()
    saved = (tmp_path / "c.npz").read_bytes()
    data[7, 2] += 1  # which is not sampled
    np.save(tmp_path / "x.npy", data)
    made = []
    with monkeypatch.context() as counting:
        call = Passes.__call__
        counting.setattr(Passes, "__call__", lambda *args, **options: made.append(1) or call(*args, **options))
        with pytest.raises(ValueError, match=r"c\.npz' is of other data: values have changed.*name another file"):
            fit()
    assert made == []
    assert (tmp_path / "c.npz").read_bytes() == saved
    data[7, 2] -= 1
    np.save(tmp_path / "x.npy", data)
    fit()


def test_slabs_of_any_size_and_any_order_of_axes_have_the_same_hash():
    rows = np.random.default_rng(0).integers(0, 99, (500, 80)).astype("u2")
    whole = Digest(1)
    whole.add([rows])
    for array in (rows, np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2], rows.reshape(50, 10, 80)):
        for size in (1, 7, 500):
            digest = Digest(1)
            for start in range(0, len(array), size):
                digest.add([array[start : start + size]])
            assert digest.hex() == whole.hex()
    other = rows.copy()
    other[499, 79] += 1
    changed = Digest(1)
    changed.add([other])
    assert changed.hex() != whole.hex()


def test_what_is_read_back_after_the_last_pass_needs_none(tmp_path, monkeypatch):
    data = write(tmp_path / "x.npy")
    first = pca(data, 3, solver="randomized", checkpoint=tmp_path / "c.npz")
    monkeypatch.setattr(Passes, "__call__", None)
    again = pca(data, 3, solver="randomized", checkpoint=tmp_path / "c.npz")
    assert np.array_equal(first.components, again.components)


def rewritten(path, change):
    """The same checkpoint with another identity."""
    arrays = arrays_of(path)
    identity = json.loads(str(arrays["identity"]))
    change(identity)
    sealed(path, arrays | {"identity": np.asarray(json.dumps(identity))})


def arrays_of(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name != "seal"}


def sealed(path, arrays):
    """Written as a checkpoint is."""
    module.write_sealed(path, arrays)


def test_an_interrupt_amid_writing_leaves_nothing_that_complains_later(tmp_path, monkeypatch):
    def interrupted(archive, *_):
        raise KeyboardInterrupt

    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with monkeypatch.context() as amid:
        amid.setattr(module.ZipFile, "__exit__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            nmf(write(tmp_path / "x.npy"), 3, max_iter=2, tol=0, checkpoint=tmp_path / "c.npz")
    gc.collect()
    assert unraisable == []
    assert not (tmp_path / "c.npz").exists()


def test_the_checkpoint_of_another_version_is_refused(tmp_path):
    data = write(tmp_path / "x.npy")
    nmf(data, 3, max_iter=2, tol=0, checkpoint=tmp_path / "c.npz")
    rewritten(tmp_path / "c.npz", lambda identity: identity.update({"the version of emcore": "0.0.9"}))
    saved = (tmp_path / "c.npz").read_bytes()
    with pytest.raises(ValueError, match=f"the version of emcore was 0.0.9, and is {__version__}; name another file"):
        nmf(data, 3, max_iter=2, tol=0, checkpoint=tmp_path / "c.npz")
    assert (tmp_path / "c.npz").read_bytes() == saved


def test_a_checkpoint_of_emcore_0_1_0_is_refused_with_a_reason(tmp_path):
    data = write(tmp_path / "x.npy")
    rows = np.unique(np.linspace(0, 399, 16).astype(int))
    identity = {  # as that version wrote it
        "the shape of the data": [400, 80],
        "the type of the data": "uint16",
        "a sample of the data": module._plain(data[rows]),
        "method": "pca",
        "n_components": 2,
        "center": True,
        "solver": "randomized",
        "seed": 0,
        "weights": None,
        "the cut into blocks (by memory, or chunks)": [1, 400],
    }
    moments = {f"once._moments.0.{i}": np.asarray(value) for i, value in enumerate((400, data.mean(0), data.var(0)))}
    np.savez(tmp_path / "c.npz", identity=np.asarray(json.dumps(identity)), **moments)
    saved = (tmp_path / "c.npz").read_bytes()
    with pytest.raises(ValueError, match=r"was written by emcore 0\.1\.0, which saved neither its version nor a hash"):
        pca(data, 2, solver="randomized", checkpoint=tmp_path / "c.npz")
    assert (tmp_path / "c.npz").read_bytes() == saved


def job(tmp_path):
    return Job(tmp_path / "job.npz", open_rows(np.eye(3), checkpoint="job.npz").cut(), {})


def test_steps_and_fits_are_known_by_their_names_in_whatever_order(tmp_path):
    first, asked = job(tmp_path), []
    first.step("noise", lambda: (1, "noise"))
    first.step("rank", lambda: (2,))
    first.fit("factors").save("hals", w=np.arange(3))
    second = job(tmp_path)
    assert second.fit("factors").load("hals")["w"].tolist() == [0, 1, 2]
    assert second.step("rank", lambda: asked.append(1)) == (2,)
    assert second.step("another", lambda: (3,)) == (3,)
    assert second.step("noise", lambda: asked.append(1)) == (1, "noise")
    assert asked == []


def test_names_within_a_step_are_its_own_and_dropped_with_its_end(tmp_path):
    first = job(tmp_path)

    def outer():
        assert first.step("sums", lambda: (1,)) == (1,)
        first.fit("nmf").save("hals", w=np.arange(3))
        return (5,)

    first.step("outer", outer)
    assert first.step("sums", lambda: (2,)) == (2,)
    with np.load(tmp_path / "job.npz") as file:
        assert set(file.files) == {"identity", "digests", "outer/0", "sums/0", "seal"}


def sums_and_maxima(x, state, index):
    x = np.asarray(x)
    return (x.sum(axis=0, dtype=np.float64), len(x)), x.max(axis=1)


class Stop(Exception):
    pass


def one_pass(data, path, blocks, stop_at=None, chosen=None):
    """Sums of columns and maxima of rows in one pass over so many blocks, that is left before block `stop_at`."""
    visited = []

    def function(x, state, index):
        if index == stop_at:
            raise Stop
        visited.append(index)
        return sums_and_maxima(x, state, index)

    source = open_rows(data, checkpoint=path)
    if chosen is not None:
        source = Source([Stored(data)], [Preparation(None, "none", None, None)], chosen=np.array(chosen))
    maxima = np.zeros(source.shape[0], data.dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "SLAB_BYTES", data.nbytes // blocks)
        patch.setattr(engine, "SAVED", 0.0)
        passes = begin(source, "sums", None, path, {}, 8, 0)
        into = [PerRow(passes.source, maxima)]
        sums, count = passes.once("sums", function, into=into)
    return sums, count, maxima, visited


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_pass_goes_on_from_where_it_had_come_to_with_the_same_bits(data, tmp_path_factory):
    values = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(data.draw(st.integers(5, 60)), 7))
    blocks = data.draw(st.integers(1, len(values)))
    chosen = data.draw(st.none() | st.lists(st.integers(0, len(values) - 1), min_size=1, unique=True).map(sorted))
    path = tmp_path_factory.mktemp("job") / "job.npz"
    whole = one_pass(values, path.with_name("whole.npz"), blocks, chosen=chosen)
    stop = data.draw(st.sampled_from(whole[3]))
    with pytest.raises(Stop):
        one_pass(values, path, blocks, stop, chosen)
    *resumed, visited = one_pass(values, path, blocks, chosen=chosen)
    assert visited == [index for index in whole[3] if index >= stop]
    for observed, expected in zip(resumed, whole, strict=False):
        np.testing.assert_array_equal(observed, expected)
    hashes = [str(np.load(each)["digests"]) for each in (path, path.with_name("whole.npz"))]
    assert hashes[0] == hashes[1] != "{}"


def test_a_damaged_state_of_a_pass_is_refused(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 7))
    with pytest.raises(Stop):
        one_pass(values, tmp_path / "job.npz", 5, 3)
    arrays = arrays_of(tmp_path / "job.npz")
    parts = [key for key in arrays if ".part." in key and not key.endswith("digest")]
    assert parts
    for key in parts:
        sealed(tmp_path / "job.npz", {name: each for name, each in arrays.items() if name != key})
        with pytest.raises(ValueError, match=r"checkpoint=.* holds a state of the pass 'sums' that does not fit"):
            one_pass(values, tmp_path / "job.npz", 5)


def test_a_name_asked_for_twice_is_an_error(tmp_path):
    twice = job(tmp_path)
    twice.step("sums", lambda: (1,))
    for ask in (lambda: twice.step("sums", lambda: (1,)), lambda: twice.fit("sums")):
        with pytest.raises(RuntimeError, match=r"'sums/' is asked for twice in one job.*a name of its own"):
            ask()
    source = open_rows(np.eye(3), checkpoint="x.npz").cut()
    passes = Checkpoint(Store(None, source, {}))
    passes.once("mean", lambda: (1,))
    with pytest.raises(RuntimeError, match="is asked for twice"):
        passes.once("mean", lambda: (1,))


@pytest.mark.parametrize("name", ["stage", "centers", "whitening", "mass", "empty"])
def test_a_state_that_does_not_fit_is_refused(name, tmp_path):
    data = write(tmp_path / "x.npy", 6)
    model = GustafsonKessel(2, max_iter=2, tol=0, checkpoint=tmp_path / "c.npz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data)
        arrays = arrays_of(tmp_path / "c.npz")
        arrays[f"state.{name}"] = np.asarray("another") if name == "stage" else arrays[f"state.{name}"][1:]
        sealed(tmp_path / "c.npz", arrays)
        with pytest.raises(ValueError, match="checkpoint: "):
            model.set_params(max_iter=3).fit(data)
