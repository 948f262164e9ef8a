"""
How emcore is measured against other packages: side by side, in the same run, on the same machine.

A workload script of this folder declares `Workload`s and `Growth`s and ends with ``harness.main(WORKLOADS, GROWTHS)``.
One process per library holds the data and waits; they are run in turn (A B B A ...), never at once. Results are
compared before times are. Written to ``bench-results/<script>.md`` and ``.json``.

    python benches/peers/nmf.py [--only REGEX] [--pairs 7] [--threads 2] [--no-growth]
"""

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from table import HEADER, line, markdown

Data = dict[str, np.ndarray]
Setup = Callable[[Data, bool, int], Callable[[], Any]]
"""``setup(data, prepared, threads)``, not timed, imports the library, for a prepared row converts the data as the
library likes them best, and returns the call that is timed; its result is an array or a dict of arrays."""

ROWS = ("as delivered", "prepared")
RESULTS = Path(__file__).parents[2] / "bench-results"
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that, set by accident, slow peers down: cleared for every process, emcore's too."""


@dataclass(frozen=True)
class Workload:
    """One job that emcore and its peers do from the same data."""

    name: str
    data: Callable[[], Data]
    emcore: Setup
    peers: Mapping[str, Setup]
    compare: Callable[[Any, Any], None]
    """``compare(emcore's result, the peer's)`` raises AssertionError where they differ by more than they may."""
    rows: Sequence[str] = ROWS
    asked: Mapping[str, float] = field(default_factory=dict)
    """Row -> the ratio of the fastest peer's time to emcore's that must be reached."""
    bytes: float = 0.0
    """What must be read from memory, at the least."""
    flops: float = 0.0
    memory: bool = True
    """False where the work is done by another process, whose memory is not seen."""


@dataclass(frozen=True)
class Growth:
    """emcore's time against one size; for the axis "threads" the data stay the same."""

    name: str
    axis: str
    values: Sequence[int]
    data: Callable[[int], Data]
    emcore: Setup


class Child:
    """A process with one library and the data, which runs when it is told to."""

    def __init__(self, key: Sequence[str], folder: Path, threads: int) -> None:
        env = {name: value for name, value in os.environ.items() if name not in SLOWING}
        pools = ("EMCORE", "RAYON", "OMP", "MKL", "OPENBLAS", "BLIS", "NUMBA", "NUMEXPR")
        env |= {f"{pool}_NUM_THREADS": str(threads) for pool in pools}
        command = [sys.executable, sys.argv[0], "--child", json.dumps(list(key)), str(folder)]
        command += ["--threads", str(threads)]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.told = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"the process ended with code {self.process.wait()}"}

    def run(self) -> float:
        """Seconds of one run, after a pause in which the threads of the other library fall asleep."""
        assert self.process.stdin is not None
        time.sleep(0.25)
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return float(self._answer()["seconds"])

    def close(self) -> None:
        self.process.communicate()


def found_by(script: str, given: Any) -> dict[str, Any]:
    """What the line `found ...` says that a script prints as a child with these arguments, or what ended it."""
    command = [sys.executable, script, "--child", json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    return json.loads(lines[-1][6:]) if lines else {"problem": done.stderr.strip().splitlines()[-1:]}


def _memory(name: str) -> int:
    """A line of /proc/self/status in bytes: VmHWM is the most that was ever held, VmRSS what is held now."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{name}:\s+(\d+)", status).group(1))  # type: ignore[union-attr]


def _child(setup: Setup, prepared: bool, folder: Path, threads: int) -> None:
    """Load, set up, warm up twice, keep the result for comparison, then time one run per line of input."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is not an answer
    data = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    size = sum(array.nbytes for array in data.values())
    try:
        call = setup(data, prepared, threads)
    except ImportError as error:
        answers.write(json.dumps({"error": f"not installed ({error})"}) + "\n")
        return
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from what is held now
    held = _memory("VmRSS")
    result = call()
    memory = (_memory("VmHWM") - held) / size
    before = time.perf_counter()
    call()
    loops = math.ceil(0.1 / (time.perf_counter() - before))  # short calls are repeated for at least 0.1 s
    arrays = result if isinstance(result, dict) else {"result": result}
    handle, kept = tempfile.mkstemp(suffix=".npz", dir=folder)
    with os.fdopen(handle, "wb") as file:
        np.savez(file, **arrays)
    del result, arrays
    answers.write(json.dumps({"memory": memory, "kept": kept, "bytes": size}) + "\n")
    for _ in sys.stdin:
        before = time.perf_counter()
        for _ in range(loops):
            call()
        answers.write(json.dumps({"seconds": (time.perf_counter() - before) / loops}) + "\n")


def _kept(child: Child) -> Any:
    with np.load(child.told["kept"]) as file:
        return file["result"] if file.files == ["result"] else dict(file)


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def machine_limits(threads: int) -> dict[str, float]:
    """Bytes/s of a read-only sweep of memory, flop/s of a large f32 matrix product (which is nearly all FMA)."""
    block = np.ones((threads, 1 << 27), np.float32)
    factor = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)

    def sweep(row: np.ndarray) -> None:
        for chunk in row.reshape(-1, 1 << 16):
            np.dot(chunk, chunk)

    def best(call: Callable[[], object]) -> float:
        times = []
        for _ in range(7):
            before = time.perf_counter()
            call()
            times.append(time.perf_counter() - before)
        return min(times)

    with ThreadPoolExecutor(threads) as pool:
        read = block.nbytes / best(lambda: list(pool.map(sweep, block)))
    return {"bytes/s": read, "flop/s": 2 * 2048**3 / best(lambda: factor @ factor)}


def _save(folder: Path, data: Data) -> None:
    for name, array in data.items():
        np.save(folder / f"{name}.npy", array)


def _measure(index: int, work: Workload, row: str, pairs: int, threads: int, limits: dict[str, float]) -> list[dict]:
    """emcore against each peer on one row: one record per peer."""
    records = []
    with tempfile.TemporaryDirectory(prefix="emcore-bench-") as name:
        folder = Path(name)
        _save(folder, work.data())
        ours = Child(["work", str(index), row, "emcore"], folder, threads)
        if "error" in ours.told:
            raise SystemExit(f"{work.name}: emcore did not run: {ours.told['error']}")
        for peer in work.peers:
            record: dict[str, Any] = {"workload": work.name, "row": row, "peer": peer, "asked": work.asked.get(row)}
            theirs = Child(["work", str(index), row, peer], folder, threads)
            try:
                if "error" in theirs.told:
                    raise AssertionError(theirs.told["error"])
                work.compare(_kept(ours), _kept(theirs))
            except AssertionError as error:
                records.append(record | {"problem": " ".join(str(error).split())[:150] or "results differ"})
                print(line(records[-1]), flush=True)
                theirs.close()
                continue
            times: dict[Child, list[float]] = {ours: [], theirs: []}
            for pair in range(pairs):
                for child in (ours, theirs) if pair % 2 == 0 else (theirs, ours):
                    times[child].append(child.run())
            theirs.close()
            Path(theirs.told["kept"]).unlink()
            seconds = statistics.median(times[ours])
            record |= {
                "seconds": seconds,
                "peer seconds": statistics.median(times[theirs]),
                "ratio": _spread([b / a for a, b in zip(times[ours], times[theirs], strict=True)]),
                "memory": ours.told["memory"] if work.memory else None,
                "peer memory": theirs.told["memory"] if work.memory else None,
                "share of bytes/s": work.bytes / seconds / limits["bytes/s"],
                "share of flop/s": work.flops / seconds / limits["flop/s"],
            }
            records.append(record)
            print(line(record), flush=True)
        ours.close()
    return records


def _grow(index: int, growth: Growth, threads: int) -> dict[str, Any]:
    """Median time of five runs at every value, and the exponent of the power law through them."""
    seconds = []
    for value in growth.values:
        with tempfile.TemporaryDirectory(prefix="emcore-bench-") as name:
            _save(Path(name), growth.data(value))
            child = Child(["growth", str(index)], Path(name), value if growth.axis == "threads" else threads)
            if "error" in child.told:
                raise SystemExit(f"{growth.name}: emcore did not run: {child.told['error']}")
            seconds.append(statistics.median(child.run() for _ in range(5)))
            child.close()
    exponent = float(np.polyfit(np.log(growth.values), np.log(seconds), 1)[0])
    curve = {"name": growth.name, "axis": growth.axis, "values": list(growth.values)}
    return curve | {"seconds": seconds, "exponent": exponent}


def main(workloads: Sequence[Workload], growths: Sequence[Growth] = ()) -> None:
    """The command line of a workload script."""
    parser = argparse.ArgumentParser(description="Side by side with other packages.")
    parser.add_argument("--only", default="", help="workloads whose name matches this regular expression")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pairs < 2:
        parser.error(f"--pairs {options.pairs} has no quartiles: give 2 or more")
    if options.child:
        kind, index, *rest = json.loads(options.child[0])
        folder = Path(options.child[1])
        if kind == "growth":
            return _child(growths[int(index)].emcore, False, folder, options.threads)
        work, (row, library) = workloads[int(index)], rest
        setup = work.emcore if library == "emcore" else work.peers[library]
        return _child(setup, row == "prepared", folder, options.threads)
    if any(name in os.environ for name in SLOWING):  # read by NumPy when it is loaded: begin anew without them
        clean = {name: value for name, value in os.environ.items() if name not in SLOWING}
        os.execve(sys.executable, [sys.executable, *sys.argv], clean)

    from emcore import _emcore

    limits = machine_limits(options.threads)
    results: dict[str, Any] = {
        "script": Path(sys.argv[0]).stem,
        "threads": options.threads,
        "instruction set": _emcore.instruction_set(),
        "pairs": options.pairs,
        "limits": limits,
        "records": [],
        "growth": [],
    }
    print(HEADER.strip())
    for index, work in enumerate(workloads):
        for row in work.rows if re.search(options.only, work.name) else ():
            results["records"] += _measure(index, work, row, options.pairs, options.threads, limits)
    for index, growth in enumerate(growths):
        if not options.no_growth and re.search(options.only, growth.name):
            results["growth"].append(_grow(index, growth, options.threads))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{results['script']}.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / f"{results['script']}.md").write_text(markdown(results))
    print(markdown(results))
