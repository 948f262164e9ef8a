"""What `help` prints of every public name can be read in a terminal of 100 columns."""

import inspect
import pydoc
import re
import typing
from importlib import import_module
from types import FunctionType

import numpy as np
import pytest

import emcore
from emcore.core.signatures import Signature, readable

MODULES = ("datasets", "detectors", "preprocessing", "residuals", "validity")
NAMES = [*(name for name in emcore.__all__ if name != "__version__"), *MODULES]
# What scikit-learn and Python write for every class.
NOT_OURS = re.compile(
    r"set_\w+_request\(|metadata_routing|- ``\w+``: metadata|Create new instance of"
    r"|__\w+__ = |^Python Library Documentation"
)


def thing(name):
    return import_module(f"emcore.{name}") if name in MODULES else getattr(emcore, name)


@pytest.mark.parametrize("name", NAMES)
def test_help_is_at_most_100_columns_wide(name):
    printed = pydoc.render_doc(thing(name), renderer=pydoc.plaintext)
    assert [line for line in printed.splitlines() if len(line) > 100 and not NOT_OURS.search(line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_signature_names_types_as_the_source_does(name):
    printed = pydoc.render_doc(thing(name), renderer=pydoc.plaintext)
    long = re.compile(r"numpy\._typing|typing\.|numpy\.ndarray|emcore\.core\.signals\.\w+[,)]")
    assert [line for line in printed.splitlines() if long.search(line) and not NOT_OURS.search(line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_signature_has_the_parameters_and_defaults_of_the_function(name):
    function = inspect.unwrap(thing(name))
    if inspect.isfunction(function):
        plain = FunctionType(function.__code__, function.__globals__, name, function.__defaults__, function.__closure__)
        plain.__kwdefaults__ = function.__kwdefaults__
        said = [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]
        assert said == [(each.name, each.kind, each.default) for each in inspect.signature(plain).parameters.values()]


def test_types_stay_what_they_were():
    hints = typing.get_type_hints(emcore.slic)
    assert hints["n_segments"] is int
    assert hints["return"] == np.ndarray[tuple[typing.Any, ...], np.dtype[np.int32]]


def test_a_long_signature_has_a_line_for_each_parameter_and_a_short_one_has_one():
    def long(first, /, second: "int", *rest, third=None, a_name_that_is_long=1.5, **others) -> None: ...

    def alone(first, *, second: int | None = None): ...

    assert str(inspect.signature(readable(alone))) == "(first, *, second: int | None = None)"
    lines = str(inspect.signature(readable(long))).splitlines()
    assert lines == [
        "(",
        "    first,",
        "    /,",
        "    second: int,",
        "    *rest,",
        "    third=None,",
        "    a_name_that_is_long=1.5,",
        "    **others,",
        ") -> None",
    ]
    assert isinstance(inspect.signature(long), Signature)


def test_a_method_is_readable_on_the_class_and_without_self_on_an_instance():
    assert str(inspect.signature(emcore.KMeans.partial_fit)).startswith("(\n    self,\n    X: ArrayLike,\n")
    assert str(inspect.signature(emcore.KMeans().partial_fit)).startswith("(\n    X: ArrayLike,\n")
