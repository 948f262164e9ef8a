"""`emcore export`: maps, tables and spectra of a results file for other programs."""

import argparse
from collections.abc import Callable

import emcore
from emcore.cli.files import Failures, collected, output_names, report_failures
from emcore.cli.options import add_files, add_folder_options
from emcore.results.contents import FORMATS

TEXT = "Write maps, tables, spectra and figures of results files for other programs."


def add_options(parser: argparse.ArgumentParser) -> None:
    """The files, and those of `Result.export`."""
    add_files(parser, "a results file")
    given = {"maps": "tif", "tables": "csv", "spectra": "csv", "figures": "none"}
    for name, formats in FORMATS.items():
        parser.add_argument(
            f"--{name}",
            type=_formats(formats),
            default=given[name],
            metavar="FORMATS",
            help=f"{', '.join(formats)}, several with commas, or none ({given[name]})",
        )
    add_folder_options(parser, "files")


def _formats(allowed: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Reads formats with commas between them."""

    def formats(text: str) -> tuple[str, ...]:
        chosen = () if text == "none" else tuple(text.split(","))
        for each in chosen:
            if each not in allowed:
                raise argparse.ArgumentTypeError(f"{each!r} is none of {', '.join(allowed)}")
        return chosen

    return formats


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Files for every result."""
    failures: Failures = []
    for file, stem in output_names(options.files).items():
        with collected(file, failures):
            written = emcore.load_result(file).export(
                options.output,
                maps=options.maps,
                tables=options.tables,
                spectra=options.spectra,
                figures=options.figures,
                stem=stem,
                overwrite=options.force,
            )
            if not options.quiet:
                print(f"{file.name}: written {', '.join(path.name for path in written)}")
    return report_failures(failures)
