"""
How soon does Ctrl-C end a call? ``python benches/latency.py [NAME...]``

Every public function, estimator and verb that can take long, on data for which it does, is watched in a process of its
own. A timer signals it every 10 ms: the longest it does not hear, in time and in time of the processor, and where that
is. Then it is interrupted at random moments: the time to KeyboardInterrupt, or to the end of the process.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from latency_cases import CASES, COMMANDS, LEFT_OUT

import emcore

LONGEST = 6.0
"""Seconds for which a call is watched at most."""
TICK = 0.01


class Enough(BaseException):
    """It was watched for long enough."""


def watched(call: Callable[[], Any]) -> dict[str, Any]:
    """How long the call takes, and the longest that it did not hear."""
    gaps: list[tuple[float, float, str]] = []
    last, over = [time.monotonic(), time.thread_time()], []
    start = last[0]

    def heard(number: int, frame: FrameType | None) -> None:
        now, cpu = time.monotonic(), time.thread_time()
        if now - last[0] > 0.12:
            stack = traceback.extract_stack(frame)
            ours = [f"{Path(each.filename).name}:{each.lineno}" for each in stack if "/emcore/" in each.filename]
            inner = stack[-1]
            gaps.append(
                (now - last[0], cpu - last[1], f"{' '.join(ours[-2:])} {Path(inner.filename).name}:{inner.name}")
            )
        last[:] = time.monotonic(), time.thread_time()
        if now - start > LONGEST and not over:
            over.append(True)
            raise Enough

    signal.signal(signal.SIGALRM, heard)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    with suppress(Enough):
        call()
    over.append(True)
    signal.setitimer(signal.ITIMER_REAL, 0)
    gaps.sort(reverse=True)
    return {"seconds": time.monotonic() - start, "gaps": gaps[:3]}


def child(name: str) -> None:
    """Makes the data, and calls as often as it is told to."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=os.environ.get("EMCORE_LATENCY")) as folder:
        call = CASES[name](Path(folder))
        ignore()
        print("ready", flush=True)
        while line := sys.stdin.readline():
            if line == "watch\n":
                print(json.dumps(watched(call)), flush=True)
                continue
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                print("begun", flush=True)
                call()
                answer = [time.monotonic(), "ended"]
            except KeyboardInterrupt:
                answer = [time.monotonic(), "interrupted"]
            except BaseException as error:
                answer = [time.monotonic(), f"{type(error).__name__}: {error}"]
            ignore()
            print(json.dumps(answer), flush=True)


def ignore() -> None:
    """A signal that is late for a call interrupts nothing else, or what was read would be lost."""
    while signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        with suppress(KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def measured(name: str, signals: int) -> dict[str, Any]:
    """The row of a case."""
    chance = random.Random(name)
    command = [sys.executable, __file__, "--child", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(word: str) -> str:
            print(word, file=process.stdin, flush=True)
            return process.stdout.readline()

        if process.stdout.readline() != "ready\n":
            return {"error": "no data"}
        row = json.loads(ask("watch"))
        waits, odd = [], []
        for _ in range(signals):
            ask("call")
            time.sleep(chance.uniform(0, min(row["seconds"], LONGEST)))
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            heard, how = json.loads(process.stdout.readline())
            if how == "interrupted" and heard > sent:
                waits.append(heard - sent)
            elif how != "ended" and heard > sent:
                odd.append(how)
        process.stdin.close()
    return row | {"waits": waits, "odd": odd}


def commanded(name: str, signals: int) -> dict[str, Any]:
    """The row of a verb: from the signal to the end of its process."""
    chance = random.Random(name)
    with tempfile.TemporaryDirectory(dir=os.environ.get("EMCORE_LATENCY")) as folder:
        words = [
            sys.executable,
            "-m",
            "emcore",
            *COMMANDS[name](Path(folder)),
            "--output",
            folder,
            "--force",
            "--quiet",
        ]
        start = time.monotonic()
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(words, timeout=LONGEST, stderr=subprocess.DEVNULL)
        row: dict[str, Any] = {"seconds": time.monotonic() - start, "gaps": [], "waits": [], "odd": []}
        for _ in range(signals):
            with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
                time.sleep(chance.uniform(0.5, max(0.6, min(row["seconds"], LONGEST))))
                sent = time.monotonic()
                process.send_signal(signal.SIGINT)
                code = process.wait()
                if code in (130, -signal.SIGINT):
                    row["waits"].append(time.monotonic() - sent)
                elif code:
                    row["odd"].append(f"exit code {code}")
        left = [path.name for path in Path(folder).glob(".emcore-*")]
        row["odd"] += left
    return row


def main() -> None:
    """All, or those whose names begin as these."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--signals", type=int, default=5)
    parser.add_argument("--child")
    parser.add_argument("--exact")
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    # Where this is itself in the background, what it starts would be deaf.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lacking = {
        name for name in emcore.__all__ if name not in LEFT_OUT and name not in {each.split()[0] for each in CASES}
    }
    if lacking:
        sys.exit(f"no case for {', '.join(sorted(lacking))}")
    print("| call | lasts, s | Ctrl-C, s | does not hear, s | of the processor, s | where |\n|---|---|---|---|---|---|")
    for name in [*CASES, *COMMANDS]:
        if options.names and not any(f"{name} ".startswith(f"{each} ") for each in options.names):
            continue
        if options.exact and name != options.exact:
            continue
        row = (measured if name in CASES else commanded)(name, options.signals)
        if "error" in row:
            print(f"| {name} | {row['error']} |", flush=True)
            continue
        wall, cpu, where = row["gaps"][0] if row["gaps"] else (0.0, 0.0, "")
        busiest = max((gap[1] for gap in row["gaps"]), default=0.0)
        waits = f"{max(row['waits']):.2f}" if row["waits"] else "-"
        said = "; ".join([where, *row["odd"]])
        print(
            f"| {name} | {row['seconds']:.1f} | {waits} | {wall:.2f} | {max(cpu, busiest):.2f} | {said} |", flush=True
        )


if __name__ == "__main__":
    main()
