"""`emcore detector`: find the virtual detector that separates two groups of positions best."""

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
    add_seed_option,
    add_signal_options,
    positive_number,
    refuse_unknown,
)
from emcore.cli.run import each_file
from emcore.io.registry import SCAN

if TYPE_CHECKING:
    from emcore.results.detector import Detector

TEXT = "Find the virtual detector, an annulus or a free mask, that separates two groups of positions best."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.best_detector`."""
    add_files(parser, "a scan of patterns, or a folder of scans")
    parser.add_argument(
        "--groups", type=Path, metavar="FILE", help="labels, a mask, or a results file with labels (two are found)"
    )
    parser.add_argument(
        "--pair",
        type=_pair,
        metavar="A,B|A",
        help="of more than two labels, from 0, these two, or one against the rest",
    )
    parser.add_argument("--kind", default="annulus", metavar="KIND", help="annulus, or free: a mask besides (annulus)")
    parser.add_argument("--score", default="fisher", metavar="SCORE", help="fisher or contrast (fisher)")
    parser.add_argument("--center", type=_center, metavar="KY,KX", help="of the beam, in pixels (as found)")
    parser.add_argument("--beam-radius", type=positive_number, metavar="R", help="of the beam, in pixels (as found)")
    add_signal_options(parser, "the two axes of a pattern, as in 2,3")
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def _pair(text: str) -> int | str | tuple[int | str, ...]:
    parts = tuple(int(part) if part.isdecimal() else part for part in (each.strip() for each in text.split(",")))
    if not 1 <= len(parts) <= 2 or "" in parts:
        raise argparse.ArgumentTypeError(f"{text!r} is no pair: give two labels as in 0,2, or one")
    return parts[0] if len(parts) == 1 else parts


def _center(text: str) -> tuple[float, float]:
    try:
        y, x = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no place: give ky and kx, as in 31.5,32") from None
    return y, x


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Find the detector for every file."""
    refuse_unknown(parser, options, {"kind": ("annulus", "free"), "score": ("fisher", "contrast")})
    if options.pair is not None and options.groups is None:
        parser.error("--pair chooses among groups: give --groups too")

    def work(file: Path) -> "Detector":
        result: Detector = emcore.best_detector(
            file,
            options.groups,
            options.kind,
            pair=options.pair,
            score=options.score,
            center=options.center,
            beam_radius=options.beam_radius,
            scan_shape=options.scan,
            signal_axis=options.signal_axis,
            dataset=options.dataset,
            random_state=options.seed,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, SCAN, work, tell)


def tell(result: "Detector") -> Iterator[str]:
    """What was decided, and how every detector does."""
    from emcore.core.wording import empty
    from emcore.reporting.pages.detector import in_words, key_numbers, radii_of
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {result.names[result.best]}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in list(key_numbers(result).items())[:2]:
        yield f"  {name:<9} {text}"
    for index, name in enumerate(result.names):
        yield f"  {name:<30} {radii_of(result, index, units=True):>18}  {in_words(result, index)}"
