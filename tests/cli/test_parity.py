"""A verb and the function that it calls have the same defaults, and each other's names."""

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emcore
from emcore.cli import VERBS, main, parsers

# How a verb is called with what it cannot do without, in a folder with an image, a scan and a volume.
CALLS = {
    "image": ["image.npy"],
    "symmetry": ["image.npy"],
    "unmix": ["scan.npy"],
    "diffraction": ["patterns.npy"],
    "grains": ["patterns.npy"],
    "curves": ["scan.npy"],
    "correlate": ["patterns.npy", "scan.npy"],
    "groups": ["scan.npy"],
    "series": ["volume.npy"],
    "particles": ["image.npy"],
    "volume": ["volume.npy"],
    "phases": ["scan.npy", "--references", "image.npy"],
    "peaks": ["volume.npy"],
    "denoise": ["scan.npy"],
    "stitch": ["image.npy", "patterns.npy"],
    "reflections": ["patterns.npy"],
    "detector": ["patterns.npy"],
}
# Parameters that an option has in words of its own.
OWN_WORDS = {
    "mask_beam": "--no-mask-beam",
    "navigation_mask": "--mask-vacuum",
    "cosmic_rays": "--keep-cosmic-rays",
    "dtype": "--native",
    "maps": "--map",
    "overwrite": "--force",
    "out": "--format",
}
# Where the data are, and what a file cannot have: arrays, and numbers that nobody needed in a terminal.
NO_OPTION = {"x", "iqr_zero", "m", "energies", "least"}


def functions(verb: str) -> list[str]:
    """The functions that a verb says it calls."""
    return re.findall(r"`emcore\.(\w+)`", VERBS[verb].add_options.__doc__ or "")


@pytest.mark.parametrize("verb", CALLS)
def test_without_options_a_verb_calls_its_function_with_the_defaults(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, shape in (
        ("image", (40, 50)),
        ("scan", (8, 9, 30)),
        ("patterns", (8, 9, 16, 16)),
        ("volume", (9, 20, 20)),
    ):
        np.save(f"{name}.npy", np.random.default_rng(0).poisson(5, shape).astype("u2"))
    calls: list[tuple[str, dict[str, Any]]] = []

    def recorded(name: str, signature: inspect.Signature) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            calls.append((name, signature.bind(*given, **named).arguments))
            raise ValueError("this is far enough")

        return call

    for name in functions(verb):
        monkeypatch.setattr(emcore, name, recorded(name, inspect.signature(getattr(emcore, name))))
    assert main([verb, *CALLS[verb]]) == 1
    assert "this is far enough" in capsys.readouterr().err
    ((name, given),) = calls
    monkeypatch.undo()
    parameters = inspect.signature(getattr(emcore, name)).parameters
    for parameter, value in given.items():
        default = parameters[parameter].default
        if default is not inspect.Parameter.empty and parameter not in ("out", "references"):
            assert value == default or (not value and not default), f"{parameter}={value!r}, in Python {default!r}"


@pytest.mark.parametrize("verb", CALLS)
def test_every_parameter_is_an_option_by_its_own_name(verb):
    options = parsers()[verb]._option_string_actions
    for function in functions(verb):
        for name, parameter in inspect.signature(getattr(emcore, function)).parameters.items():
            if parameter.default is inspect.Parameter.empty or name in NO_OPTION:
                continue
            # Images of a series are a scan, whose profiles are in memory.
            if verb != "series" or function != "group_signals" or name not in ("scan_shape", "memory"):
                by_place = name in {action.dest for action in parsers()[verb]._actions}
                assert OWN_WORDS.get(name, f"--{name.replace('_', '-')}") in options or by_place, f"{function}: {name}"


def test_both_names_mean_the_same(tmp_path):
    parser = parsers()["diffraction"]
    for names in (["--clusters", "--seed", "--scan"], ["--n-clusters", "--random-state", "--scan-shape"]):
        options = parser.parse_args(["a.npy", names[0], "4", names[1], "7", names[2], "3,5"])
        assert (options.clusters, options.seed, options.scan) == (4, 7, (3, 5))
        assert options.files == [Path("a.npy")]
    assert "--n-clusters" not in parser.format_help()


def test_every_verb_that_computes_is_compared():
    assert set(CALLS) == set(VERBS) - {"info", "view", "report", "export", "demo"}
