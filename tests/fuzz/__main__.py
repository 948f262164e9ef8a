"""Calls of all functions, each of its own seed, on worker processes: ``python tests/fuzz --calls 1000000``.

A worker makes calls of one function at a time and says in a small file which one it is at, so that of a worker that
dies or takes too long it is known what it was at. Counts of outcomes stand in a file of JSON, which is replaced whole,
and from which a later run goes on. Which function is next follows from the counts, so that slow ones have fewer calls
and yet enough. ``--replay NAME:NUMBER`` makes one call again.
"""

import argparse
import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
LONGEST = 10.0
"""Seconds of a processor that a call may take."""
PATIENCE = 300
"""Seconds after which a worker is ended, which may share its processor with much else."""
ROOM = 4 << 30
"""Bytes of addresses that a worker may have, so that what asks for too many is refused at once."""
GROWN = 300 << 10
"""KiB by which no call of arguments as small as these may grow the process."""
BATCH = 2.0


def work(threads: int, place: Path) -> None:
    """Reads lines "NAME FIRST STEP SECONDS", makes calls for so long, writes a line of what came of them."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    faulthandler.enable()
    import emcore

    emcore.set_num_threads(threads)
    from outcome import call_of, outcome

    with place.open("w+") as at:
        for line in sys.stdin:
            name, first, step, seconds = line.split()
            number, counts, findings, largest = int(first), Counter[str](), [], 0
            begun, used = time.perf_counter(), time.process_time()
            while time.perf_counter() < begun + float(seconds):
                at.seek(0)
                at.write(f"{name}:{number}\n")
                at.flush()
                faulthandler.dump_traceback_later(PATIENCE, exit=True)
                before = time.process_time()
                try:
                    call = call_of(name, number)
                except Exception:
                    print(f"{name}:{number}: no arguments", file=sys.stderr)
                    raise
                came, why = outcome(name, call)
                took, size = time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                faulthandler.cancel_dump_traceback_later()
                if took > LONGEST and "finding" not in came:
                    came, why = "finding: slow", f"{took:.1f} s of {came}"
                if size > largest + GROWN and number > int(first):
                    came, why = "finding: grown", f"by {(size - largest) >> 10} MiB: {came}"
                largest = max(size, largest)
                counts[came] += 1
                if "finding" in came:
                    findings.append([f"{name}:{number}", came, why])
                number += int(step)
            done = {"next": number, "counts": counts, "findings": findings, "s": time.process_time() - used}
            print(json.dumps(done), flush=True)


class Worker:
    """A process and what it is at."""

    def __init__(self, index: int, log: IO[str], folder: Path) -> None:
        self.index, self.log, self.place = index, log, folder / f"worker{index}"
        self.name = ""
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(HERE), "--work", str(1 + 2 * (self.index % 2)), str(self.place)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, text=True)
        self.out, self.said = self.process.stdout.fileno(), b""  # type: ignore[union-attr]
        os.set_blocking(self.out, False)

    def give(self, name: str, first: int, step: int, seconds: float) -> None:
        self.name, self.given = name, time.monotonic()
        self.process.stdin.write(f"{name} {first} {step} {seconds}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]

    def answer(self) -> dict[str, Any] | None:
        """What came of a batch; None while it runs. Of a worker that has died, a finding."""
        try:
            self.said += os.read(self.out, 1 << 16)
        except BlockingIOError:
            return None
        if self.said.endswith(b"\n"):
            line, self.said = self.said, b""
            return dict(json.loads(line))
        if self.process.poll() is None:
            return None
        at = self.place.read_text().split("\n")[0]
        number = int(at.rpartition(":")[2])
        code = self.process.returncode
        finding = [at, "finding: the process ended", f"with {code}"]
        self.start()
        came, took = {"finding: the process ended": 1}, time.monotonic() - self.given
        return {"next": number, "died": True, "counts": came, "findings": [finding], "s": took}


class Counts:
    """Outcomes by function, in a file."""

    def __init__(self, path: Path, version: str) -> None:
        self.path, self.version = path, version
        held = json.loads(path.read_text()) if path.exists() else {}
        self.functions: dict[str, dict[str, Any]] = held.get("functions", {})
        self.findings: list[list[str]] = held.get("findings", [])
        self.versions: dict[str, int] = held.get("versions", {})

    def total(self) -> int:
        return sum(sum(each["counts"].values()) for each in self.functions.values())

    def cost(self, name: str) -> float:
        """Time squared times calls, the same for all where calls go as the time of one to the power of -2/3."""
        of = self.functions.get(name)
        return 0.0 if of is None else of["s"] ** 2 * max(sum(of["counts"].values()), 1)

    def add(self, name: str, worker: int, answer: dict[str, Any]) -> None:
        of = self.functions.setdefault(name, {"counts": {}, "s": 0.0, "next": {}})
        for came, count in answer["counts"].items():
            of["counts"][came] = of["counts"].get(came, 0) + count
        of["s"] += answer["s"]
        of["next"][str(worker)] = answer["next"]
        self.findings += [[*finding, self.version] for finding in answer["findings"]]
        self.versions[self.version] = self.versions.get(self.version, 0) + sum(answer["counts"].values())

    def save(self) -> None:
        held = {"functions": self.functions, "findings": self.findings, "versions": self.versions}
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(held))
        partial.replace(self.path)

    def table(self) -> str:
        """Calls and outcomes of every function."""
        kinds = sorted({came for of in self.functions.values() for came in of["counts"]}, key=lambda c: ("f" in c, c))
        lines = [["function", "calls", *kinds]]
        for name in sorted(self.functions):
            counts = self.functions[name]["counts"]
            lines.append([name, str(sum(counts.values())), *(str(counts.get(came, 0)) for came in kinds)])
        sums = [sum(int(line[i]) for line in lines[1:]) for i in range(1, len(lines[0]))]
        lines.append(["all", *map(str, sums)])
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        )


def run(calls: int, n_workers: int, path: Path, version: str, names: list[str]) -> int:
    """Make calls until there are so many; how many findings there were in this run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = Counts(path, version)
    before, saved = len(counts.findings), time.monotonic()
    with path.with_suffix(".log").open("a") as log:
        workers = [Worker(i, log, path.parent) for i in range(n_workers)]
        try:
            while counts.total() < calls:
                for worker in workers:
                    answer = worker.answer() if worker.name else {}
                    if answer is None:
                        continue
                    if worker.name:
                        if answer.pop("died", False):
                            answer["next"] += n_workers
                        counts.add(worker.name, worker.index, answer)
                        for finding in answer["findings"]:
                            print(*finding, flush=True)
                    busy = {other.name for other in workers if other is not worker}
                    name = min((name for name in names if name not in busy), key=counts.cost)
                    following = counts.functions.get(name, {"next": {}})["next"]
                    worker.give(name, following.get(str(worker.index), worker.index), n_workers, BATCH)
                if time.monotonic() > saved + 20:
                    counts.save()
                    saved = time.monotonic()
                time.sleep(0.01)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.wait()
            counts.save()
    print(counts.table())
    return len(counts.findings) - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--counts", type=Path, default=Path("fuzz-results/calls.json"))
    parser.add_argument("--version", default="", help="what is called the version that is tried, in the counts")
    parser.add_argument("--only", default="", help="names that begin as this regular expression")
    parser.add_argument("--replay", metavar="NAME:NUMBER")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and what is counted is written
    if options.work:
        work(int(options.work[0]), Path(options.work[1]))
        return 0
    from outcome import CALLS, call_of, outcome

    if options.replay:
        name, _, number = options.replay.rpartition(":")
        call = call_of(name, int(number))
        print(call)
        print(*outcome(name, call), sep="\n")
        return 0
    names = [name for name in CALLS if re.match(options.only, name)]
    return 1 if run(options.calls, options.workers, options.counts, options.version, names) else 0


if __name__ == "__main__":
    sys.exit(main())
