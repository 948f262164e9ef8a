"""One call and what came of it: an answer, an error that says what is wrong, or a finding."""

import traceback
import warnings
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import file_calls
import numpy as np
import private_calls
import public_calls
from sklearn.exceptions import NotFittedError
from values import held, infinite, not_numbers

ANSWERS = (ValueError, TypeError, MemoryError, OSError, NotFittedError)
CALLS: dict[str, Callable[[Random], Callable[[], Any]]] = {
    **public_calls.CALLS,
    **private_calls.CALLS,
    **file_calls.CALLS,
}


def call_of(name: str, number: int) -> Callable[[], Any]:
    """The call that a number stands for."""
    return CALLS[name](Random(f"{name}:{number}"))


def outcome(name: str, call: Callable[[], Any]) -> tuple[str, str]:
    """
    What a call came to, and for a finding what is to be known of it.

    An error is one of `ANSWERS` (of a private function, or `OverflowError`; of a file, or `ImportError`), with words.
    Arguments are as before, but for what a private function says it writes into. Where arguments were finite, so is the
    answer, but for fields of which their docstring says when they are not.
    """
    private, file = name.startswith("_emcore."), name.startswith("read:")
    given = arguments_of(call, name)
    before = [held(each) for each in given]
    answers = (*ANSWERS, OverflowError) if private else (*ANSWERS, ImportError) if file else ANSWERS
    answer, came = None, "ok"
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            answer = call()
    except answers as error:
        came = next(kind.__name__ for kind in reversed(answers) if isinstance(error, kind))
        if not str(error).strip():
            return "finding: an error without words", traceback.format_exc()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"finding: {type(error).__name__}", traceback.format_exc()
    if [held(each) for each in given] != before:
        return "finding: an argument was changed", ""
    said = not_numbers(call.func) if isinstance(call, partial) else set()
    if came == "ok" and not (private or file or "ndarray" in said or infinite(given)) and (which := infinite(answer)):
        return "finding: not a number", which
    return came, ""


def arguments_of(call: Callable[[], Any], name: str) -> list[Any]:
    """The arguments of a call that it must leave as they are."""
    if not isinstance(call, partial):
        return []
    written = private_calls.WRITTEN.get(name.removeprefix("_emcore."), ()) if name.startswith("_emcore.") else ()
    passes = (each for i, each in enumerate(call.args) if i not in written and not isinstance(each, type))
    return [each for each in (*passes, *call.keywords.values()) if not isinstance(each, private_calls.Passes)]
