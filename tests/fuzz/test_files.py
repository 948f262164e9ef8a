"""Files of any format that are damaged anywhere are read otherwise or refused; none ends the process or takes long."""

import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest

from emcore.io.registry import read_all

DAMAGED = int(os.environ.get("EMCORE_FUZZ", "12")) // 4
"""Of each file; `make fuzz` makes more."""
LARGEST = 400_000
# Byte by byte as one that was cut, was sent as text, or lies on a disk that fails.
BYTES = (0, 1, 127, 128, 255)


def damaged(whole: bytes, seed: int) -> bytes:
    """A few bytes changed, in the head or anywhere; of every fifth the end missing."""
    numbers, data = random.Random(seed), bytearray(whole)
    reach = numbers.choice((min(len(data), 4096), len(data)))
    for _ in range(numbers.choice((1, 3, 10, 100))):
        data[numbers.randrange(reach)] = numbers.choice((*BYTES, numbers.randrange(256)))
    return bytes(data[: numbers.randrange(len(data))] if numbers.random() < 0.2 else data)


def test_damaged_files_are_read_or_refused(data_folder, tmp_path):
    pytest.importorskip("rsciio", reason="reading microscope files needs the extra io")
    files = [path for path in sorted(data_folder.rglob("*")) if path.is_file() and path.stat().st_size < LARGEST]
    files = [path for path in files if path.suffix != ".md"]
    if not files:
        pytest.skip("the real files are not at hand")
    outcomes = dict.fromkeys(("read", "refused"), 0)
    for path in files:
        whole = path.read_bytes()
        for seed in range(DAMAGED):
            place = Path(tmp_path, f"{seed}{path.suffix}")
            place.write_bytes(damaged(whole, seed))
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    for signal in read_all(place):
                        np.asarray(signal.data)
                outcomes["read"] += 1
            except (ValueError, TypeError, OSError, MemoryError, ImportError):
                outcomes["refused"] += 1
            place.unlink()
    assert min(outcomes.values()) > 0, outcomes
