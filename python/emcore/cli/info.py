"""`emcore info`: say what is in a file."""

import argparse

import emcore
from emcore.cli.files import Failures, collected, report_failures
from emcore.cli.options import add_files

TEXT = "Say what is in a file."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files."""
    add_files(parser, "a file of any kind that emcore reads")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Describe every file."""
    failures: Failures = []
    for file in options.files:
        with collected(file, failures):
            print(emcore.describe(file), flush=True)
    return report_failures(failures)
