"""Files of any format that are damaged anywhere are read otherwise or refused; none ends the process or takes long."""

import os
from collections import Counter
from random import Random

import pytest

pytest.importorskip("rsciio", reason="reading microscope files needs the extra io")

from file_calls import CALLS
from outcome import outcome

DAMAGED = max(int(os.environ.get("EMCORE_FUZZ", "12")) // 4, 1)
"""Of each file; `make fuzz` makes more."""


# Decoders leave files open that they cannot read to the end.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_files_are_read_or_refused():
    outcomes = Counter[str]()
    for name, call in CALLS.items():
        for number in range(DAMAGED):
            came, why = outcome(name, call(Random(f"{name}:{number}")))
            assert "finding" not in came, f"{name}:{number} {came}: {why}"
            outcomes[came] += 1
    assert outcomes["ok"] > 0
    assert outcomes["ValueError"] > 0
