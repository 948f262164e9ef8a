"""Paragraphs that docstrings share are filled in everywhere, and are the same everywhere."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import emcore
from emcore.core.documentation import PARAGRAPHS, documented

PUBLIC = [getattr(emcore, name) for name in emcore.__all__ if not name.startswith("_")]


def test_no_docstring_of_the_package_has_a_place_that_was_not_filled():
    unfilled = []
    for info in pkgutil.walk_packages(emcore.__path__, "emcore."):
        if info.name in ("emcore.__main__", "emcore.core.documentation"):
            continue
        for name, thing in vars(import_module(info.name)).items():
            if getattr(thing, "__module__", "") == info.name and "%(" in (inspect.getdoc(thing) or ""):
                unfilled.append(f"{info.name}.{name}")
    assert not unfilled


@pytest.mark.parametrize("parameter", ["memory", "checkpoint"])
def test_estimators_and_workflows_say_the_same_of_a_parameter(parameter):
    having = [thing for thing in PUBLIC if callable(thing) and parameter in inspect.signature(thing).parameters]
    assert {"KMeans", "NMF", "PCA", "FuzzyCMeans", "unmix"} <= {thing.__name__ for thing in having}
    # It refers to fuzzy c-means; these do not visit what is out of core in blocks, and say what they do.
    others = {emcore.GustafsonKessel, emcore.slic, emcore.merge_similar, emcore.analyze_image}
    for thing in having:
        if thing not in others or (parameter == "checkpoint" and thing is emcore.analyze_image):
            assert PARAGRAPHS[parameter] in inspect.getdoc(thing), thing


def test_a_paragraph_is_indented_as_the_line_that_names_it():
    @documented(one="first\n    second")
    def function():
        """Title.

        %(one)s
            third, in the line %(one)s
        """

    assert inspect.getdoc(function) == ("Title.\n\nfirst\n    second\n    third, in the line first\n        second")


def test_what_is_not_a_paragraph_is_refused():
    with pytest.raises(KeyError, match="nothing"):

        @documented()
        def function():
            """%(nothing)s"""
