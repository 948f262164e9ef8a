"""`emcore report`: draw the report of a results file again."""

import argparse
from pathlib import Path

import emcore
from emcore.cli.files import Failures, collected, output_names, report_failures
from emcore.cli.options import add_files
from emcore.core.files import check_output, together

TEXT = "Draw the report of results files again, and with --html a page to look into them."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files, and where reports go."""
    add_files(parser, "a results file")
    parser.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="folder for reports (this one)")
    parser.add_argument("--force", action="store_true", help="replace existing reports")
    parser.add_argument("--html", action="store_true", help="also write a page to look into the results")
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """A report for every file."""
    failures: Failures = []
    options.output.mkdir(parents=True, exist_ok=True)
    for file, name in output_names(options.files).items():
        with collected(file, failures), together():
            report, page = (options.output / f"{name}{ending}" for ending in (".pdf", ".html"))
            check_output(report, options.force)
            result = emcore.load_result(file)
            result.report(report, overwrite=options.force)
            if options.html:
                result.to_html(page, overwrite=options.force)
            if not options.quiet:
                print(f"{file.name}: written {report}{f', {page}' if options.html else ''}")
    return report_failures(failures)
