"""`emcore grains`: find the grains of a scan of diffraction patterns."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.options import (
    add_files,
    add_output_options,
    add_scan_options,
    auto_or_count,
    positive_number,
    refuse_radius_without_mask,
    refuse_unknown,
)
from emcore.cli.run import each_file
from emcore.io.registry import SCAN

if TYPE_CHECKING:
    from emcore.results.segmentation import Segmentation

TEXT = "Find the grains of a scan of diffraction patterns."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.segment_grains`."""
    add_files(parser, "a scan of patterns, or a folder of scans")
    parser.add_argument(
        "--segments", type=auto_or_count, default="auto", metavar="auto|N", help="segments before merging (auto)"
    )
    parser.add_argument(
        "--min-correlation", type=_correlation, default="auto", metavar="auto|R", help="merge from here on (auto)"
    )
    parser.add_argument(
        "--detector-pixels",
        default="range",
        metavar="HOW",
        help="compare pixels of the largest range or variance, or all (range)",
    )
    parser.add_argument("--keep", type=_part, default=0.02, metavar="PART", help="what part of them (0.02)")
    parser.add_argument("--compactness", type=positive_number, default=0.3, metavar="M", help="of segments (0.3)")
    add_scan_options(parser)
    parser.add_argument("--export", choices=("hspy", "npy"), help="write the mean patterns too, for indexing")
    add_output_options(parser)


def _correlation(text: str) -> float | str:
    try:
        value = text if text == "auto" else float(text)
    except ValueError:
        value = float("nan")
    if not isinstance(value, str) and not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number from -1 to 1")
    return value


def _part(text: str) -> float:
    value = positive_number(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text!r} is more than all, 1")
    return value


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Segment every file."""
    from emcore.workflows.grains import PIXELS

    refuse_unknown(parser, options, {"detector-pixels": PIXELS})
    refuse_radius_without_mask(parser, options)

    def work(file: Path, *stack: Path) -> "Segmentation":
        result: Segmentation = emcore.segment_grains(
            file,
            options.segments,
            detector_pixels=options.detector_pixels,
            keep=options.keep,
            mask_beam=options.mask_beam,
            beam_radius=options.beam_radius,
            min_correlation=options.min_correlation,
            compactness=options.compactness,
            scan_shape=options.scan,
            signal_axis=options.signal_axis,
            dataset=options.dataset,
        )
        if stack:
            result.export_patterns(stack[0], overwrite=options.force)
        return result

    stacks = {None: (), "hspy": ("_grains.hspy",), "npy": ("_grains.npy", "_grains.json")}
    return each_file(options, SCAN, work, tell, stacks[options.export])


def tell(result: "Segmentation") -> Iterator[str]:
    """What was decided, and the largest grains."""
    from emcore.core.wording import count_of, empty, quantity
    from emcore.reporting.pages.scan import size_of
    from emcore.reporting.pages.segmentation import key_numbers

    yield f"{result.provenance.input_name}: {count_of(result.n_grains, 'grain')}"
    yield f"  why       {result.reason}"
    before = f"{count_of(result.n_segments, 'segment')} before merging"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}; {before}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for index in range(min(result.n_grains, 10)):
        diameter = quantity(float(result.diameter[index]), result.length_units)
        yield f"  grain {index + 1:<5}{count_of(int(result.size[index]), 'position'):>18}  {diameter}"
    if result.n_grains > 10:
        yield f"  … {result.n_grains - 10} smaller"
