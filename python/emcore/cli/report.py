"""`emcore report`: draw the report of a results file again."""

import argparse

import emcore
from emcore.cli.files import Failures, collected, output_names, report_failures
from emcore.cli.options import add_files, add_folder_options
from emcore.core.files import check_output, together

TEXT = "Draw the report of results files again, and with --html a page to look into them."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files, and where reports go."""
    add_files(parser, "a results file")
    add_folder_options(parser, "reports")
    parser.add_argument("--html", action="store_true", help="also write a page to look into the results")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """A report for every file."""
    failures: Failures = []
    options.output.mkdir(parents=True, exist_ok=True)
    for file, name in output_names(options.files).items():
        with collected(file, failures):
            report, page = (options.output / f"{name}{ending}" for ending in (".pdf", ".html"))
            check_output(report, options.force)
            result = emcore.load_result(file)
            with together():
                result.report(report, overwrite=options.force)
                if options.html:
                    result.to_html(page, overwrite=options.force)
            if not options.quiet:
                print(f"{file.name}: written {report}{f', {page}' if options.html else ''}")
    return report_failures(failures)
