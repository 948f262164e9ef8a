"""Whatever a function is given, it answers or says what is wrong: never a hang, a panic or another exception."""

import faulthandler
import os
from random import Random

import private_calls
import public_calls
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcome import outcome

from emcore import _emcore

CALLS = {**public_calls.CALLS, **private_calls.CALLS}
EXAMPLES = int(os.environ.get("EMCORE_FUZZ", "12"))
"""Calls of each; `make fuzz` makes more, without hypothesis."""
LONGEST = 60
"""Seconds after which a call is taken to hang: the process ends and says where."""


@pytest.mark.parametrize("name", CALLS)
@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(numbers=st.randoms(use_true_random=False))
def test_a_call_answers_or_says_what_is_wrong(name: str, numbers: Random) -> None:
    call = CALLS[name](numbers)
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    try:
        came, why = outcome(name, call)
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert "finding" not in came, f"{came}: {why}\n{call}"


# What changes how all calls run, and what only says how it was built.
LEFT_OUT = {"set_num_threads", "set_num_threads_here", "get_num_threads", "instruction_set", "set_progress"}


def test_every_function_of_the_extension_is_called():
    functions = {name for name in dir(_emcore) if callable(getattr(_emcore, name)) and not name.startswith("_")}
    assert functions == {name.removeprefix("_emcore.") for name in CALLS if name.startswith("_emcore.")} | LEFT_OUT
