"""A checkpoint that is damaged, or of something else, is an error that names it, or does no harm: never a wrong result.

`EMCORE_KILLS` is how many damages of each kind are tried of each job (1).
"""

import io
import os
import warnings
import zipfile
from contextlib import suppress
from dataclasses import fields

import numpy as np
import pytest

import emcore
from emcore import NMF, PCA, FuzzyCMeans, GustafsonKessel, KMeans, datasets
from emcore.core.signals import Signal, same_array
from emcore.outofcore.checkpoint import Store

TIMES = int(os.environ.get("EMCORE_KILLS", "1"))


def counts(seed, d=12):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(0.5, 4, (90, 3)) @ rng.gamma(0.5, 2, (3, d))).astype("u2")


def patterns(seed):
    return np.asarray(datasets.polycrystal_scan((10, 12), (32, 32), 3, seed=seed).patterns)


def spectra(seed):
    return datasets.eds_phases((12, 14), channels=200, seed=seed).signal.data


def fitted(model):
    return lambda data, path: model.set_params(checkpoint=path).fit(data)


REFERENCES = datasets.eds_phases((12, 14), channels=200).spectra
# The data of a job from a seed, and the job of such data and a checkpoint.
JOBS = {
    "PCA": (counts, fitted(PCA(2, svd_solver="randomized"))),
    "NMF": (counts, fitted(NMF(2, max_iter=6, tol=0))),
    "NMF by multiplication": (counts, fitted(NMF(2, solver="mu", loss="kullback-leibler", max_iter=6, tol=0))),
    "KMeans": (counts, fitted(KMeans(3, n_init=2, max_iter=4))),
    "FuzzyCMeans": (counts, fitted(FuzzyCMeans(2, max_iter=4, tol=0))),
    "GustafsonKessel": (lambda seed: counts(seed, 4), fitted(GustafsonKessel(2, max_iter=4, tol=0, gamma=0.1))),
    "unmix": (spectra, lambda data, path: emcore.unmix(data, 2, checkpoint=path)),
    "unmix in blocks": (spectra, lambda data, path: emcore.unmix(data, 2, blocks=(6, 7), checkpoint=path)),
    "phase_map": (spectra, lambda data, path: emcore.phase_map(data, REFERENCES, checkpoint=path)),
    "denoise": (spectra, lambda data, path: emcore.denoise(data, 2, checkpoint=path)),
    "map_peaks": (
        lambda seed: datasets.energy_series((12, 14), seed=seed).stack.data,
        lambda data, path: emcore.map_peaks(data, n_peaks=2, signal_axis=0, checkpoint=path),
    ),
    "cluster_diffraction": (patterns, lambda data, path: emcore.cluster_diffraction(data, 3, checkpoint=path)),
    "segment_grains": (patterns, lambda data, path: emcore.segment_grains(data, checkpoint=path)),
    "cluster_reflections": (patterns, lambda data, path: emcore.cluster_reflections(data, 3, checkpoint=path)),
    "best_detector": (patterns, lambda data, path: emcore.best_detector(data, checkpoint=path)),
    "analyze_volume": (
        lambda seed: datasets.quasi_ordered_volume((40, 40, 40), n_grains=2, seed=seed).volume,
        lambda data, path: emcore.analyze_volume(data, 16, method="kmeans", n_clusters=2, checkpoint=path),
    ),
}


class Killed(BaseException):
    """Nothing catches it."""


def arrays(value):
    """What a result says of the data."""
    if isinstance(value, Signal):
        return np.asarray(value.data)
    if hasattr(value, "__dataclass_fields__"):
        return [arrays(getattr(value, each.name)) for each in fields(value) if each.name != "provenance"]
    if hasattr(value, "get_params"):
        return [arrays(each) for name, each in sorted(vars(value).items()) if name.endswith("_")]
    return [arrays(each) for each in value] if isinstance(value, tuple | list) else value


def equal(a, b):
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and same_array(a, b)
    return bool(a == b) or (a != a and b != b)


class Tried:
    """A job, its result, and the checkpoints of one that ended, of one killed on its way, and of one of other data."""

    def __init__(self, name, folder):
        make, self.job = JOBS[name]
        self.data, self.path = make(1), folder / "job.npz"
        self.whole = self.result(self.data)
        self.ended = self.path.read_bytes()
        self.path.unlink()
        self.result(make(2))
        self.other = self.path.read_bytes()
        self.path.unlink()
        left = len(np.load(io.BytesIO(self.ended)).files) // 3
        with pytest.MonkeyPatch.context() as patch:
            write, written = Store.write, []

            def dying(store, *args, **options):
                write(store, *args, **options)
                written.append(1)
                if len(written) > left:
                    raise Killed

            patch.setattr(Store, "write", dying)
            with suppress(Killed):
                self.result(self.data)
        self.killed = self.path.read_bytes()

    def result(self, data):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return arrays(self.job(data, self.path))

    def is_right_or_refused(self, raw, data=None):
        """Whether the job with this checkpoint ends as ever, or with an error that names it."""
        self.path.write_bytes(raw)
        try:
            observed = self.result(self.data if data is None else data)
        except ValueError as error:
            return "checkpoint" in str(error) and self.path.read_bytes() == raw
        return data is None and equal(observed, self.whole)


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    made = {}
    return lambda name: made.get(name) or made.setdefault(name, Tried(name, tmp_path_factory.mktemp("job")))


def parts(raw):
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(members):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return whole.getvalue()


def damages(raw, other, rng):
    """The file with a byte changed or its end lost, a part lost, or taken from another job."""
    for _ in range(4 * TIMES):
        changed = bytearray(raw)
        changed[rng.integers(len(raw))] ^= int(rng.integers(1, 256))
        yield "a byte", bytes(changed)
    for _ in range(TIMES):
        yield "the end", raw[: rng.integers(len(raw))]
    own, others = parts(raw), parts(other)
    for name in rng.permutation(sorted(own))[: 2 * TIMES]:
        yield f"without {name}", packed({key: value for key, value in own.items() if key != name})
    both = [name for name in own if name in others and others[name] != own[name]]
    for name in rng.permutation(both)[: 2 * TIMES]:
        yield f"{name} of another job", packed(own | {name: others[name]})


@pytest.mark.parametrize("name", JOBS)
def test_a_damaged_checkpoint_is_refused_by_name_or_does_no_harm(name, tried):
    job, rng = tried(name), np.random.default_rng(list(JOBS).index(name))
    for raw in (job.ended, job.killed):
        job.path.write_bytes(raw)
        assert equal(job.result(job.data), job.whole)
        for what, damaged in damages(raw, job.other, rng):
            assert job.is_right_or_refused(damaged), what


@pytest.mark.parametrize("name", JOBS)
def test_the_checkpoint_of_other_data_is_refused_by_name_wherever_they_differ(name, tried):
    job, rng = tried(name), np.random.default_rng(list(JOBS).index(name))
    assert job.is_right_or_refused(job.other)
    for raw in (job.ended, job.killed):
        for _ in range(TIMES):
            data = job.data.copy()
            data.flat[rng.integers(data.size)] ^= 1
            assert job.is_right_or_refused(raw, data)
