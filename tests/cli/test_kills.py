"""Whatever ends a verb, and whenever: its files are all there and whole, or none is, and the next run is as the first.

Every verb of the parser has a case. `EMCORE_KILLS` is how many moments are tried of each (1).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import emcore.cli
from emcore import datasets
from emcore.cli import VERBS
from emcore.core.signals import Signal, same_array

pytestmark = [pytest.mark.posix]
OPTIONS = emcore.cli._parsers()[1]
MOMENTS = int(os.environ.get("EMCORE_KILLS", "1"))

# Imports once, and makes each run in a process of its own, as a verb is over in less time than imports take.
SERVER = """
import json, os, signal, sys, time
import h5py, matplotlib.backends.backend_pdf, rsciio.hspy, sklearn.cluster, sklearn.mixture, zarr
import emcore.cli, emcore.datasets, emcore.reporting.report
from itertools import islice
from resource import RLIMIT_FSIZE, setrlimit

make = emcore.datasets.lattice_micrograph
emcore.datasets.lattice_micrograph = lambda: make((300, 350), (7, 12), (20, 110))
pages = emcore.reporting.report.pages
emcore.reporting.report.pages = lambda result: islice(pages(result), 1)
run = emcore.cli._run

def child(job, begun):
    os.chdir(job["folder"])
    appeared = []

    def hook(event, arguments):
        # The files of a verb appear one after another: what if it is killed between two of them?
        if event == "os.rename" and job["between"]:
            name = os.path.basename(arguments[1])
            if name in job["between"]:
                appeared.append(name)
                if len(appeared) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

    def noted(words):
        os.write(begun, b"x")
        return run(words)

    sys.addaudithook(hook)
    emcore.cli._run = noted
    for number, place in ((1, os.devnull), (2, job["said"])):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if job["room"]:
        setrlimit(RLIMIT_FSIZE, (job["room"],) * 2)
    code = 99
    try:
        code = emcore.cli.main(job["words"])
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stderr.flush()
        os._exit(code)

print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    reading, begun = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(job, begun)
    os.close(begun)
    os.read(reading, 1)
    start = time.monotonic()
    if job["signal"]:
        time.sleep(job["after"])
        os.kill(pid, job["signal"])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(reading)
    print(json.dumps([code, time.monotonic() - start]), flush=True)
"""


class Case(NamedTuple):
    """What a verb is given, and the ends of the names of what it writes."""

    words: str
    written: tuple[str, ...] = (".h5", ".pdf")


CASES = {
    "image": Case("image lattice.npy --window 64"),
    "symmetry": Case("symmetry frames.npy --regions 2", (".h5", ".pdf", "_areas.csv")),
    "unmix": Case("unmix eds.npy --components 3"),
    "diffraction": Case("diffraction scan.npy --clusters 3"),
    "grains": Case("grains scan.npy --export npy", (".h5", ".pdf", "_grains.npy", "_grains.json")),
    "curves": Case("curves curves.npy --clusters 3"),
    "correlate": Case("correlate patterns.npy spectra.npy --clusters 3"),
    "groups": Case("groups losses.npy --method kmeans --clusters 3"),
    "series": Case("series tilt.npy --method kmeans --clusters 3"),
    "particles": Case("particles particles.npy", (".h5", ".pdf", "_particles.csv")),
    "volume": Case("volume volume.npy --window 24 --labels .", (".h5", ".pdf", ".ome.zarr")),
    "phases": Case("phases eds.npy --references references.npy"),
    "peaks": Case("peaks energies.npy --peaks 2 --signal-axis 0"),
    "denoise": Case("denoise eds.npy --format hspy", (".h5", ".pdf", "_denoised.hspy")),
    "stitch": Case("stitch first.npy second.npy", (".h5", ".pdf", "_table.csv")),
    "reflections": Case("reflections scan.npy --clusters 3"),
    "detector": Case("detector scan.npy"),
    "info": Case("info eds.npy scan.npy", ()),
    "view": Case("view scan.npy", (".html",)),
    "report": Case("report phases.h5 --html", (".html", ".pdf")),
    "export": Case(
        "export phases.h5 --maps none --tables none", (".spectra.csv", ".residual_spectrum.csv", ".mean.csv")
    ),
    "demo": Case("demo"),
}


def made(folder: Path) -> None:
    """The data of all cases."""
    scan = datasets.polycrystal_scan((12, 14), (32, 32), 3).patterns
    eds = datasets.eds_phases((12, 14), channels=300)
    both = datasets.correlated_scan((16, 16))
    mosaic = datasets.overlapping_scans((20, 22), pattern_shape=(32, 32), grain_size=8.0)
    arrays = {
        "lattice": datasets.lattice_micrograph((256, 256)).image,
        "frames": datasets.moving_boundary(3, (128, 144)).frames,
        "eds": eds.signal.data,
        "references": eds.spectra,
        "scan": getattr(scan, "data", scan),
        "curves": datasets.iv_curves((10, 12), 60).curves,
        "patterns": both.diffraction.data,
        "spectra": both.eds.data,
        "losses": datasets.plasmon_spectra((12, 14)).signal.data,
        "tilt": datasets.deformed_series((20, 24), 15, 4).stack.data,
        "particles": datasets.shaped_particles((160, 200), 8).image.data,
        "volume": datasets.quasi_ordered_volume((56, 56, 56), n_grains=2).volume,
        "energies": datasets.energy_series((16, 18)).stack.data,
        "first": mosaic.scans[0].data,
        "second": mosaic.scans[1].data,
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(values))
    emcore.unmix(eds.signal, 3).save(folder / "phases.h5")


class Runs:
    """Runs of verbs, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.data.mkdir()
        made(self.data)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"
        self.wholes: dict[str, tuple[Path, float]] = {}

    def run(self, verb: str, folder: Path, *more: str, **how: Any) -> tuple[int, str]:
        """The exit code, negative of the signal that ended it, and what was said of errors."""
        case = CASES[verb]
        words = [str(self.data / word) if word.endswith((".npy", ".h5")) else word for word in case.words.split()]
        if "--checkpoint" in OPTIONS[verb]._option_string_actions:
            words += ["--checkpoint", "job.npz"]
        job = {"folder": str(folder), "said": str(self.folder / "said"), "words": words + list(more)}
        job |= {"signal": 0, "after": 0.0, "between": [], "room": 0} | how
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        code, self.seconds = json.loads(self.process.stdout.readline())
        return code, (self.folder / "said").read_text()

    def whole(self, verb: str) -> tuple[Path, float]:
        """A folder of what an undisturbed run writes, and how long it takes."""
        if verb not in self.wholes:
            folder = self.empty(f"whole_{verb}")
            code, said = self.run(verb, folder)
            assert (code, said) == (0, "")
            assert len(written(verb, folder)) == len(CASES[verb].written)
            self.wholes[verb] = folder, self.seconds
        return self.wholes[verb]

    def empty(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    runs = Runs(tmp_path_factory.mktemp("kills"))
    yield runs
    runs.process.stdin.close()
    runs.process.stdout.close()
    runs.process.wait(30)


def written(verb: str, folder: Path) -> list[str]:
    """What the verb has written; there is nothing else but what it keeps for the next run."""
    names = [path.name for path in folder.iterdir() if path.name != "job.npz" and not path.name.startswith(".emcore-")]
    assert all(name.endswith(CASES[verb].written) for name in names)
    return sorted(names)


def temporaries(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".*")]


def contents(path: Path) -> Any:
    """What a file holds but for times and places; an error where it is not whole."""
    if path.suffix == ".pdf":
        raw = path.read_bytes()
        assert raw.startswith(b"%PDF") and raw.rstrip().endswith(b"%%EOF")  # noqa: PT018
        return ()
    if path.suffix == ".h5":
        result = emcore.load_result(path)
        left = ("provenance", "path", "labels_path", "stored")
        return [values(getattr(result, each.name)) for each in fields(result) if each.name not in left]
    if path.suffix in (".npy", ".hspy", ".zarr"):
        places = [None] if path.suffix != ".zarr" else ["labels/textures", "labels/oriented"]
        return [np.asarray(emcore.read(path, dataset=place).data) for place in places]
    return path.read_bytes()


def values(value: Any) -> Any:
    if isinstance(value, Signal):
        return np.asarray(value.data)
    return [values(each) for each in value] if isinstance(value, tuple) else value


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and same_array(a, b)
    return a == b or (a != a and b != b)


def is_as_undisturbed(verb: str, folder: Path, runs: Runs) -> bool:
    whole, _ = runs.whole(verb)
    assert temporaries(folder) == []
    assert written(verb, folder) == written(verb, whole)
    return all(equal(contents(folder / name), contents(whole / name)) for name in written(verb, whole))


def force(verb: str) -> list[str]:
    """For what writes nothing there is no such option."""
    return ["--force"] if CASES[verb].written else []


def moments(verb: str, kind: int, seconds: float) -> list[float]:
    """While it works, seconds after its start: by the same numbers in each run, on a machine of any speed."""
    rng = np.random.default_rng([list(VERBS).index(verb), kind])
    return (seconds * rng.random(MOMENTS)).tolist()


def test_every_verb_has_a_case():
    assert list(CASES) == list(VERBS) == list(OPTIONS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_killed_leaves_all_files_or_none_and_the_next_run_ends_as_the_first(verb, runs):
    whole, seconds = runs.whole(verb)
    names = written(verb, whole)
    for after in moments(verb, 0, seconds):
        folder = runs.empty("killed")
        code, said = runs.run(verb, folder, signal=int(signal.SIGKILL), after=after)
        assert code in (0, -signal.SIGKILL), said
        listed = any(name.endswith(".list") for name in temporaries(folder))  # amid their appearance
        assert listed or written(verb, folder) in ([], names)
        assert runs.run(verb, folder, *force(verb)) == (0, "")
        assert is_as_undisturbed(verb, folder, runs)
    if len(names) > 1:  # between two of its files
        code, said = runs.run(verb, folder, "--force", between=names)
        assert code == -signal.SIGKILL, said
        assert len(written(verb, folder)) == len(names) - 1
        code, said = runs.run(verb, folder)
        assert code == 1
        assert "exists: choose another name" in said
        assert is_as_undisturbed(verb, folder, runs)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_asked_to_end_leaves_all_files_or_none_and_nothing_else(verb, runs):
    whole, seconds = runs.whole(verb)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        for after in moments(verb, int(number), seconds):
            folder = runs.empty("asked")
            observed, said = runs.run(verb, folder, signal=int(number), after=after)
            interrupted = code, "emcore: interrupted, nothing half-written\n"
            assert (observed, said) in ((0, ""), interrupted, (-number, ""))  # the last amid another package
            assert temporaries(folder) == []
            assert written(verb, folder) in ([], written(verb, whole))
            for name in written(verb, folder):
                contents(folder / name)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if CASES[verb].written])
def test_a_verb_that_has_no_room_for_its_files_says_so_and_leaves_none(verb, runs):
    for room in np.random.default_rng(list(VERBS).index(verb)).integers(500, 6000, MOMENTS).tolist():
        folder = runs.empty("full")
        code, said = runs.run(verb, folder, room=room)
        assert code == 1
        assert re.fullmatch(r"emcore: (.*: )?cannot write .*: File too large\n", said), said
        assert temporaries(folder) == []
        assert written(verb, folder) == []
