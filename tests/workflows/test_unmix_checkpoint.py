"""Unmixing that is killed goes on from its last full pass or block, with the same result; other files are refused."""

import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

import emcore
import emcore.cli
from emcore.core.signals import Signal
from emcore.datasets import eds_phases
from emcore.outofcore.engine import Passes
from emcore.scans.spectrum_images import SpectrumImage
from emcore.workflows.unmix import unmix

da = pytest.importorskip("dask.array")
pytestmark = pytest.mark.usefixtures("nothing_is_loaded")
SHAPE = 30, 24
MASK = np.zeros(SHAPE, dtype=bool)
MASK[:, 20:] = True


class Killed(BaseException):
    """Nothing catches it."""


class Watched:
    """Notes which passes were made whole, and kills the job in the middle of the one after so many."""

    def __init__(self, monkeypatch):
        self.made, self.left = [], None
        call = Passes.__call__

        def watched(passes, function, *args, **options):
            if self.left == 0:
                return call(passes, dying(function), *args, **options)
            observed = call(passes, function, *args, **options)
            self.made.append(function.__name__)
            self.left = None if self.left is None else self.left - 1
            return observed

        monkeypatch.setattr(Passes, "__call__", watched)

    def killed(self, left, run):
        """Whether the job was killed in the pass after so many, and the passes made whole; its result if it was not."""
        self.made, self.left = [], left
        try:
            return run(), self.made
        except Killed:
            return None, self.made


def dying(function):
    def visit(x, state, index, *rows):
        if index > 0:
            raise Killed
        return function(x, state, index, *rows)

    return visit


@pytest.fixture
def watched(monkeypatch):
    return Watched(monkeypatch)


@pytest.fixture(scope="module")
def phases():
    return eds_phases(shape=SHAPE, minority=0.05, counts=400, zero_peak=50).signal


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch, phases):
    monkeypatch.setattr("emcore.outofcore.sources.SLAB_BYTES", phases.data.nbytes // 3)


def same(a, b):
    def arrays(result):
        values = [getattr(result, field.name) for field in fields(result) if field.name != "provenance"]
        return [value.data if isinstance(value, Signal) else value for value in values]

    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ({}, 1),
        ({"n_components": 2, "navigation_mask": "vacuum", "weighting": "none"}, 1),
        # Every tenth update of the likelihood is followed by a pass for the loss, and is one with it.
        ({"n_components": 2, "loss": "kullback-leibler", "navigation_mask": MASK}, 2),
    ],
)
def test_a_job_killed_again_and_again_repeats_only_the_pass_it_was_in(options, step, phases, tmp_path, watched):
    def run(name):
        return unmix(phases, checkpoint=tmp_path / name, **options)

    whole, passes = watched.killed(None, lambda: run("whole.npz"))
    made, observed = [], None
    while observed is None:
        observed, more = watched.killed(step if len(made) < len(passes) - step else None, lambda: run("killed.npz"))
        made += more
    again = Counter(made) - Counter(passes)
    assert (
        made == passes
        if step == 1
        else (set(again) == {"_visit"} and again["_visit"] <= passes.count("_loss_of_block"))
    )
    assert {"_sums", "_xt_x_q", "_visit", "_maps", "_residuals"} <= set(passes)
    assert same(observed, whole)
    with np.load(tmp_path / "killed.npz", allow_pickle=False) as file:
        assert not [name for name in file.files if "state" in name]  # what fits kept on their way
        assert all(file[name].dtype.kind in "biufU" for name in file.files)


def test_blocks_of_the_scan_are_searched_once(phases, tmp_path, monkeypatch):
    read, rows, last = [], SpectrumImage.rows, [None]

    def noted(image, block=None):
        if len(read) == last[0]:
            raise Killed
        read.append(block and (block[0].start, block[1].start))
        return rows(image, block)

    monkeypatch.setattr(SpectrumImage, "rows", noted)
    whole = unmix(phases, blocks=(15, 12))
    blocks = [(y, x) for y in (0, 15) for x in (0, 12)]
    assert read == blocks * 2
    for last[0], done in ((1, blocks[:1]), (2, blocks[1:3]), (3, [*blocks[3:], *blocks[:2]])):
        read.clear()
        with pytest.raises(Killed):
            unmix(phases, blocks=(15, 12), checkpoint=tmp_path / "c.npz")
        assert read == done
    read.clear()
    last[0] = None
    assert same(unmix(phases, blocks=(15, 12), checkpoint=tmp_path / "c.npz"), whole)
    assert read == blocks  # maps and what they leave, of all
    read.clear()
    assert same(unmix(phases, blocks=(15, 12), checkpoint=tmp_path / "c.npz"), whole)
    assert read == []


@pytest.mark.parametrize("place", ["memory map", "Dask"])
def test_it_is_so_wherever_the_data_lie_and_a_checkpoint_changes_no_bit(place, tmp_path, watched):
    signal = eds_phases().signal
    np.save(tmp_path / "map.npy", signal.data)
    data = np.load(tmp_path / "map.npy", mmap_mode="r")
    data = data if place == "memory map" else da.from_array(data, chunks=(20, 32, -1))
    given = {"spectrum_image": Signal(data, signal.axes), "memory": "10 MB" if place == "memory map" else None}
    whole, passes = watched.killed(None, lambda: unmix(**given))
    for last in (1, 12, len(passes) - 14):
        observed, made = watched.killed(last, lambda: unmix(**given, checkpoint=tmp_path / "c.npz"))
        assert observed is None
        assert made == passes[:last]
        passes = passes[last:]
    observed, made = watched.killed(None, lambda: unmix(**given, checkpoint=tmp_path / "c.npz"))
    assert made == passes
    assert same(observed, whole)
    again, made = watched.killed(None, lambda: unmix(**given, checkpoint=tmp_path / "c.npz"))
    assert made == []
    assert same(again, whole)


@pytest.mark.parametrize("left", [2, 6, 20])
@pytest.mark.parametrize("mask", [None, MASK])
def test_data_that_changed_at_any_position_are_refused_in_the_first_pass(left, mask, phases, tmp_path, watched):
    def run(data):
        return unmix(Signal(data, phases.axes), 2, navigation_mask=mask, checkpoint=tmp_path / "c.npz")

    data = phases.data.copy()
    assert watched.killed(left, lambda: run(data))[0] is None
    before = (tmp_path / "c.npz").read_bytes()
    data[3, 22, 300] += 1  # neither sampled nor, where there is a mask, taken part
    with pytest.raises(ValueError, match=r"c\.npz' is of other data: values have changed"):
        watched.killed(None, lambda: run(data))
    assert watched.made == []
    assert (tmp_path / "c.npz").read_bytes() == before


def test_a_block_that_changed_is_refused_before_maps_are_made_of_it(phases, tmp_path, monkeypatch):
    data, rows, read = phases.data.copy(), SpectrumImage.rows, []

    def dying(image, block=None):
        if len(read) == 3:
            raise Killed
        read.append(block)
        return rows(image, block)

    def run():
        return unmix(Signal(data, phases.axes), blocks=(15, 12), checkpoint=tmp_path / "c.npz")

    with monkeypatch.context() as killing:
        killing.setattr(SpectrumImage, "rows", dying)
        with pytest.raises(Killed):
            run()
    data[3, 5, 300] += 1  # of the first block
    with pytest.raises(ValueError, match=r"c\.npz' is of other data: values have changed"):
        run()
    data[3, 5, 300] -= 1
    assert same(run(), unmix(phases, blocks=(15, 12)))


CODE = """
import os, signal, sys
import emcore.outofcore.sources
from emcore.cli import main
from emcore.outofcore.engine import Passes

last, *words = sys.argv[1:]
emcore.outofcore.sources.SLAB_BYTES = 600_000
call, made = Passes.__call__, []

def counted(*args, **options):
    made.append(args[1].__name__)
    if len(made) == int(last):
        emcore.outofcore.sources.Source.load = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
    return call(*args, **options)

Passes.__call__ = counted
code = main(words)
print(len(made))
sys.exit(code)
"""


@pytest.mark.posix
def test_a_command_that_was_killed_goes_on(phases, tmp_path):
    np.save(tmp_path / "map.npy", phases.data)

    def run(last, folder, *more):
        words = ["unmix", "map.npy", "--quiet", "--output", folder, "--range", "10,900", *more]
        given = {"capture_output": True, "text": True, "cwd": tmp_path, "timeout": 100}
        done = subprocess.run([sys.executable, "-c", CODE, str(last), *words], **given)
        assert done.returncode == (0 if last == 0 else -9), done.stderr
        return int(done.stdout) if last == 0 else None

    passes = run(0, "whole", "--checkpoint", "whole.npz")
    run(9, "killed", "--checkpoint", "killed.npz")
    assert run(0, "killed", "--checkpoint", "killed.npz") == passes - 8
    whole, observed = (emcore.load_result(tmp_path / folder / "map.unmix.h5") for folder in ("whole", "killed"))
    assert same(observed, whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "killed.npz", "map.npy", "whole", "whole.npz"]


def test_a_command_takes_a_checkpoint_for_one_file_only(phases, tmp_path, capsys):
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, phases.data)
    with pytest.raises(SystemExit):
        emcore.cli.main(["unmix", str(tmp_path), "--checkpoint", str(tmp_path / "c.npz")])
    assert "--checkpoint is of one job; these are 2 files" in capsys.readouterr().err


@pytest.fixture(scope="module")
def ended(phases, tmp_path_factory):
    path = tmp_path_factory.mktemp("ended") / "c.npz"
    unmix(phases, 2, checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_components": "auto"}, "n_components was 2, and is auto"),
        ({"weighting": "none"}, "weighting was poisson, and is none"),
        ({"loss": "kullback-leibler"}, "loss was frobenius"),
        ({"navigation_mask": MASK}, "navigation_mask was None"),
        ({"navigation_mask": "vacuum"}, "navigation_mask was None, and is vacuum"),
        ({"signal_range": (300, 9000)}, r"signal_range was None, and is \[300.0, 9000.0\]"),
        ({"blocks": (15, 12)}, r"blocks was None, and is \[15, 12\]"),
        ({"memory": "2 GiB"}, "memory was 1073741824, and is 2147483648"),
        ({"data": lambda data: data + 1}, "a sample of the data"),
        ({"data": lambda data: data[1:]}, r"the shape of the data was \[720, 1"),
        ({"data": lambda data: data.astype("f4")}, "the type of the data was uint16"),
        ({"scale": 0.005}, r"energies was \[.*, 20.0, 'eV'\], and is \[.*, 5.0, 'eV'\]"),
    ],
)
def test_a_checkpoint_of_another_job_is_refused_by_name(change, named, ended, phases):
    before, change = ended.read_bytes(), dict(change)
    data = change.pop("data", lambda data: data)(phases.data)
    energy = replace(phases.axes[-1], scale=change.pop("scale", 0.02))
    axes = [replace(axis, size=size) for axis, size in zip((*phases.axes[:-1], energy), data.shape, strict=True)]
    with pytest.raises(ValueError, match=f"is of another job: {named}.*name another file"):
        unmix(Signal(data, tuple(axes)), **{"n_components": 2, **change}, checkpoint=ended)
    assert ended.read_bytes() == before
    assert not [path for path in ended.parent.iterdir() if path != ended]


@pytest.mark.parametrize("options", [{}, {"blocks": (15, 12)}])
def test_bad_values_in_memory_are_named_as_without_a_checkpoint(options, phases, tmp_path):
    data = phases.data.astype("f4")
    data[7, 20, 300] = -1
    for job in ({}, {"checkpoint": tmp_path / "c.npz"}):
        with pytest.raises(ValueError, match=r"spectrum_image has negative values, first at \[7, 20, 300\]"):
            unmix(Signal(data, phases.axes), **options, **job)


def test_the_checkpoint_of_a_fit_is_not_taken_for_that_of_a_job(phases, tmp_path):
    emcore.NMF(2, max_iter=1, tol=0, checkpoint=tmp_path / "c.npz").fit(phases.data.reshape(720, -1))
    with pytest.raises(ValueError, match="method was nmf, and is unmix"):
        unmix(phases, 2, checkpoint=tmp_path / "c.npz")
    with pytest.raises(FileNotFoundError, match=r"folder .* does not exist"):
        unmix(phases, 2, checkpoint=tmp_path / "missing" / "c.npz")
