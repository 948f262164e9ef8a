"""`emcore` in a terminal: one verb for each workflow, with the parameter names of the function it calls.

A verb is a small file: `TEXT`, what it does in a line; `add_options(parser)`; `run(parser, options)`, which gives the
exit code. `options.py` is what verbs share before the command is understood, `run.py` after (files, outputs, progress,
failures).

Exit codes: 0 all done; 1 at least one file failed, the others are done; 2 the command was wrong; 130 interrupted.
What a person can put right is told in a line; an error inside emcore shows where it happened. The other files go on.
"""

import argparse
import difflib
import io
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy  # noqa: F401 - first: later the garbage collector has more to look through, 10 ms of it

import emcore
from emcore.cli import (
    correlate,
    curves,
    demo,
    denoise,
    detector,
    diffraction,
    export,
    grains,
    groups,
    image,
    info,
    particles,
    peaks,
    phases,
    reflections,
    report,
    series,
    stitch,
    symmetry,
    unmix,
    view,
    volume,
)
from emcore.cli.ending import asked_by, ends_when_asked, say_so, was_asked
from emcore.cli.options import also_by_the_names_of_python
from emcore.cli.preset import preset_words


class Verb(Protocol):
    """What the file of a verb has."""

    TEXT: str

    def add_options(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, parser: argparse.ArgumentParser, options: argparse.Namespace) -> int: ...


VERBS: dict[str, Verb] = {
    "image": image,
    "symmetry": symmetry,
    "unmix": unmix,
    "diffraction": diffraction,
    "grains": grains,
    "curves": curves,
    "correlate": correlate,
    "groups": groups,
    "series": series,
    "particles": particles,
    "volume": volume,
    "phases": phases,
    "peaks": peaks,
    "denoise": denoise,
    "stitch": stitch,
    "reflections": reflections,
    "detector": detector,
    "info": info,
    "view": view,
    "report": report,
    "export": export,
    "demo": demo,
}


def program() -> int:
    """`main`, as a process of its own: one that was asked to end ends at once, whatever it has imported."""
    code = main()
    if was_asked():
        with suppress(OSError):  # of a pipe that is closed
            sys.stdout.flush()
        os._exit(code)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; a wrong command ends in SystemExit(2), as argparse has it.

    Examples
    --------
    >>> from emcore.cli import main
    >>> main(["info", "no-such-file.tif"])
    1
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show µ must not cost a result
    try:
        with ends_when_asked():
            return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        say_so()
        return asked_by()
    except BrokenPipeError:
        # Whoever read our output has closed it ("emcore info FILE | head"): no reason to complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(words: list[str]) -> int:
    parser, parsers = _parsers()
    with suppress(ImportError):
        from argcomplete import autocomplete

        autocomplete(parser)
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        parser.error(f"there is no verb {words[0]!r}{_nearest(words[0], VERBS)}")
    words = [_file_or_option(word, parsers.get(words[0])) for word in words]
    options, unknown = parser.parse_known_args(words)
    if not unknown and (preset := preset_words(options, parsers.get(options.verb, parser))):
        options, unknown = parser.parse_known_args([words[0], *preset, *words[1:]])
    chosen = parsers.get(options.verb, parser)
    if unknown:
        accepted = chosen._option_string_actions
        chosen.error(f"there is no option {unknown[0]!r}{_nearest(unknown[0].split('=')[0], accepted)}")
    if chosen is parser:
        parser.error(f"a verb is missing: {', '.join(VERBS)}")
    code: int = VERBS[options.verb].run(chosen, options)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser for which words that begin as a negative number are values and files: -40.bcf, -20,300."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nsee {self.prog} --help\n")


def _file_or_option(word: str, chosen: _Parser | None) -> str:
    """The word, of a file whose name begins as an option one that does not."""
    option = chosen is None or not word.startswith("-") or word.split("=")[0] in chosen._option_string_actions
    return word if option or not Path(word).exists() else f".{os.sep}{word}"


def _nearest(word: str, options: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(options), n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else f", there are {', '.join(options)}"


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(prog="emcore", description=emcore.__doc__.strip().splitlines()[0] if emcore.__doc__ else "")
    parser.add_argument("-V", "--version", action="version", version=f"emcore {emcore.__version__}")
    adder = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    parsers: dict[str, _Parser] = {}
    for name, verb in VERBS.items():
        parsers[name] = adder.add_parser(name, help=verb.TEXT, description=verb.TEXT, allow_abbrev=False)
        verb.add_options(parsers[name])
        also_by_the_names_of_python(parsers[name])
    return parser, parsers


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of every verb, by its name."""
    return dict(_parsers()[1])
