"""`emcore image`: find the regions of a micrograph that differ in local periodicity."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.options import (
    add_checkpoint_option,
    add_dataset_option,
    add_files,
    add_memory_option,
    add_output_options,
    add_seed_option,
    auto_or_count,
    frame,
    refuse_unknown,
    whole_number,
)
from emcore.cli.run import each_file
from emcore.io.registry import IMAGE

if TYPE_CHECKING:
    from emcore.results.image_analysis import ImageAnalysis

TEXT = "Find the regions of a micrograph that differ in local periodicity."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.analyze_image`."""
    add_files(parser, "an image, or a folder of images")
    parser.add_argument(
        "--window",
        type=partial(auto_or_count, least=8),
        default=128,
        metavar="auto|N",
        help="side of the window in pixels, or eight of the strongest period (128)",
    )
    parser.add_argument("--step", type=whole_number(1), help="step of the window in pixels (a quarter of the window)")
    parser.add_argument("--components", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument("--rule", help="rule that chooses how many (gap)")
    parser.add_argument("--frame", type=frame, metavar="I[,J]", help="which image of a stack, from 0 on (0)")
    add_dataset_option(parser)
    parser.add_argument("--include-info-bar", action="store_true", help="analyse the bar below the picture, too")
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Analyse every file."""
    if options.rule is not None:
        from emcore.workflows.image import IMAGE_RULES

        if options.components != "auto":
            parser.error("--rule chooses the number of components, --components fixes it: leave one out")
        refuse_unknown(parser, options, {"rule": IMAGE_RULES})

    def work(file: Path) -> "ImageAnalysis":
        result: ImageAnalysis = emcore.analyze_image(
            file,
            window=options.window,
            step=options.step,
            n_components=options.components,
            rule=options.rule,
            dataset=options.dataset,
            random_state=options.seed,
            frame=options.frame,
            include_info_bar=options.include_info_bar,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, IMAGE, work, tell)


def tell(result: "ImageAnalysis") -> Iterator[str]:
    """What was decided, and the regions."""
    from emcore.core.wording import count_of
    from emcore.reporting.pages.image import peak_cells, pixel_size

    record = result.provenance
    yield f"{record.input_name}: {count_of(result.n_components, 'component')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    y, x = result.image.axes
    pixel = f", {pixel_size(result)} per pixel" if x.calibrated else ""
    yield f"  image     {x.size} × {y.size} px{pixel}"
    yield f"  windows   {record.parameters['window']} px, step {record.parameters['step']} px"
    for index, (spacing, direction, second, turned, angle) in enumerate(peak_cells(result)):
        also = f"  second {second} at {turned}  angle {angle}" if angle != "–" else ""
        yield (
            f"  region {index + 1:<3}{100 * float(result.area[index]):5.1f} %  "
            f"spacing {spacing}  direction {direction}{also}"
        )
