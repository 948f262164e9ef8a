"""`emcore grains`: find the grains of a scan of diffraction patterns."""

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
    add_scan_options,
    auto_or_count,
    positive_number,
    refuse_radius_without_mask,
    refuse_unknown,
    whole_number,
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
        "--method", default="auto", metavar="HOW", help="segments by slic, graph or hdbscan, or as suits (auto)"
    )
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument(
        "--min-correlation", type=_correlation, default="auto", metavar="auto|R", help="merge down to here (auto)"
    )
    ends.add_argument("--grains", type=whole_number(1), metavar="N", help="merge until so many are left")
    parser.add_argument(
        "--detector-pixels",
        default="significant",
        metavar="HOW",
        help="compare significant pixels, which vary by more than noise, or all (significant)",
    )
    parser.add_argument(
        "--bin-to", type=whole_number(1), default=64, metavar="N", help="pixels a side that are compared (64)"
    )
    parser.add_argument("--compactness", type=positive_number, default=0.3, metavar="M", help="of segments (0.3)")
    add_scan_options(parser)
    add_memory_option(parser)
    add_checkpoint_option(parser)
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


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Segment every file."""
    from emcore.workflows.grains import METHODS, PIXELS

    refuse_unknown(parser, options, {"detector-pixels": PIXELS, "method": METHODS})
    refuse_radius_without_mask(parser, options)

    def work(file: Path, *stack: Path) -> "Segmentation":
        result: Segmentation = emcore.segment_grains(
            file,
            options.segments,
            detector_pixels=options.detector_pixels,
            method=options.method,
            bin_to=options.bin_to,
            n_grains=options.grains,
            mask_beam=options.mask_beam,
            beam_radius=options.beam_radius,
            min_correlation=options.min_correlation,
            compactness=options.compactness,
            scan_shape=options.scan,
            signal_axis=options.signal_axis,
            dataset=options.dataset,
            memory=options.memory,
            checkpoint=options.checkpoint,
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
    from emcore.scans.reflections import CRYSTAL

    yield f"{result.provenance.input_name}: {count_of(result.n_grains, 'grain')}"
    yield f"  why       {result.reason}"
    before = f"{count_of(result.n_segments, 'segment')} before merging"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}; {before}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for index in range(min(result.n_grains, 10)):
        diameter = quantity(float(result.diameter[index]), result.length_units)
        kind = f", {kinds[index]}" if (kinds := result.kinds) and kinds[index] != CRYSTAL else ""
        yield f"  grain {index + 1:<5}{count_of(int(result.size[index]), 'position'):>18}  {diameter}{kind}"
    if result.n_grains > 10:
        yield f"  … {result.n_grains - 10} smaller"
