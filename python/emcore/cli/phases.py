"""`emcore phases`: map phases whose signals are known."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.options import (
    add_checkpoint_option,
    add_files,
    add_memory_option,
    add_output_options,
    add_range_option,
    add_references,
    add_signal_options,
)
from emcore.cli.run import each_file
from emcore.io.registry import SPECTRA

if TYPE_CHECKING:
    from emcore.results.phase_map import PhaseMap

TEXT = "Map phases by correlation with known spectra or patterns."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.phase_map`."""
    add_files(parser, "a scan of spectra, curves or patterns, or a folder of such files")
    add_references(parser, "the signals of the phases", required=True)
    parser.add_argument(
        "--phases", type=_names, metavar="A,B,...", help="the phase of each reference; of one that has several the best"
    )
    parser.add_argument(
        "--min-correlation", type=_correlation, default=0.0, metavar="R", help="below it a position has no phase (0)"
    )
    add_range_option(parser)
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_signal_options(parser, "the axis of a spectrum, or both of a pattern, as in 2,3")
    add_output_options(parser)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name")
    return names


def _correlation(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 2.0
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from -1 to 1")
    return value


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Map every file."""

    def work(file: Path) -> "PhaseMap":
        result: PhaseMap = emcore.phase_map(
            file,
            options.references[0] if len(options.references) == 1 else options.references,
            phases=options.phases,
            min_correlation=options.min_correlation,
            signal_range=options.range,
            signal_axis=options.signal_axis,
            scan_shape=options.scan,
            dataset=options.dataset,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, SPECTRA, work, tell)


def tell(result: "PhaseMap") -> Iterator[str]:
    """What was decided, and the phases."""
    from emcore.core.wording import count_of, empty
    from emcore.reporting.pages.phases import key_numbers
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {count_of(result.n_phases, 'phase')}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for index, name in enumerate(result.names):
        yield f"  {100 * float(result.area[index]):5.1f} %  {name}"
