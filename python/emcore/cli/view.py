"""`emcore view`: a page to look into a result or a measurement with a browser."""

import argparse
from pathlib import Path

import emcore
from emcore.cli.files import Failures, collected, output_names, report_failures
from emcore.cli.options import add_dataset_option, add_files, add_folder_options
from emcore.core.files import check_output
from emcore.results.nexus import is_result

TEXT = "Write a page to look into results or measurements with a browser: point at a map, see the signal there."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files, and where pages go."""
    add_files(parser, "a results file, or a measurement")
    parser.add_argument("--data", type=Path, metavar="FILE", help="of a result: what was analysed, shown beside means")
    add_dataset_option(parser)
    add_folder_options(parser, "pages")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Write a page for every file."""
    failures: Failures = []
    options.output.mkdir(parents=True, exist_ok=True)
    for file, name in output_names(options.files).items():
        with collected(file, failures):
            path = options.output / f"{name}.html"
            check_output(path, options.force)
            if is_result(file):
                data = None if options.data is None else emcore.read(options.data, dataset=options.dataset, lazy=True)
                emcore.load_result(file).to_html(path, data, overwrite=options.force)
            else:
                from emcore.reporting.html import write_signal_html

                write_signal_html(emcore.read(file, dataset=options.dataset, lazy=True), path, options.force)
            if not options.quiet:
                print(f"{file.name}: written {path}")
    return report_failures(failures)
