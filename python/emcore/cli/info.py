"""`emcore info`: say what is in a file."""

import argparse
from typing import Any

import emcore
from emcore.cli.files import Failures, collected, readable, report_failures
from emcore.cli.options import add_files

TEXT = "Say what is in a file: shape, meaning of its axes, calibration, values, gaps, and which verb takes it."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files, and the form."""
    add_files(parser, "a file of any kind that emcore reads, or a folder of them")
    parser.add_argument("--json", action="store_true", help="one JSON object for each file, for programs")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Describe every file."""
    failures: Failures = []
    for given in options.files:
        for file in readable(given):
            with collected(file, failures):
                print(_json(file) if options.json else emcore.describe(file), flush=True)
    return report_failures(failures)


def _json(file: Any) -> str:
    import json

    return json.dumps({"file": str(file), "datasets": emcore.inspect(file)}, allow_nan=False)
