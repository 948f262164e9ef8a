"""Where the system gives no more memory, any function ends with an error that says so; the process goes on."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.linux
def test_every_function_answers_or_says_what_there_is_no_memory_for():
    # A process of its own, as the limit is one of a process, and so is its end.
    script = Path(__file__).with_name("low_memory.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-2000:])
    said = [line.split("|") for line in done.stdout.splitlines()]
    refused = {name for name, _, words in said if words != "fits"}
    assert {name for name, _, _ in said} == refused, "what was tried needs no memory worth a mention"
    assert not [line for line in said if line[2] == "nothing said"]
