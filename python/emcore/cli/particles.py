"""`emcore particles`: find and measure the particles of an image, and add up the spectrum of each."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.options import (
    add_dataset_option,
    add_memory_option,
    add_output_options,
    add_seed_option,
    frame,
    signal_axis,
    whole_number,
)
from emcore.cli.run import one_job

if TYPE_CHECKING:
    from emcore.results.particles import Particles

TEXT = "Find the particles of an image: sizes, shapes and, with a spectrum image, the spectrum of each; a table as CSV."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.find_particles`."""
    parser.add_argument("image", type=Path, metavar="IMAGE", help="an image, or a spectrum image alone")
    parser.add_argument(
        "spectrum_image", type=Path, nargs="?", metavar="SPECTRUM_IMAGE", help="a spectrum image of the same region"
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="known particles: a label image or a mask")
    parser.add_argument("--threshold", type=float, metavar="T", help="of the image (as found)")
    parser.add_argument("--min-size", type=whole_number(1), default=16, metavar="N", help="pixels of the smallest (16)")
    parser.add_argument("--frame", type=frame, metavar="N", help="which image of a stack, from 0 (the first)")
    parser.add_argument(
        "--signal-axis", type=signal_axis, metavar="AXIS", help="name or number of the spectra's axis (as found)"
    )
    add_dataset_option(parser)
    add_memory_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Find the particles of one image."""
    given = [options.image, *([options.spectrum_image] if options.spectrum_image else [])]

    def work(table: Path) -> "Particles":
        result: Particles = emcore.find_particles(
            options.image,
            options.spectrum_image,
            labels=options.labels,
            threshold=options.threshold,
            min_size=options.min_size,
            frame=options.frame,
            dataset=options.dataset,
            random_state=options.seed,
            signal_axis=options.signal_axis,
            memory=options.memory,
        )
        result.write_table(table, overwrite=options.force)
        return result

    return one_job(options, options.image.stem, given, work, tell, also=("_particles.csv",))


def tell(result: "Particles") -> Iterator[str]:
    """What was found, and the largest particles."""
    from emcore.core.wording import count_of, quantity
    from emcore.reporting.pages.particles import key_numbers
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {count_of(result.n_particles, 'particle')}"
    yield f"  image     {size_of(result.image.axes).replace('positions', 'pixels')}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for index in range(min(result.n_particles, 10)):
        diameter = quantity(float(result.diameter[index]), result.length_units)
        cut = ", cut by the border" if result.cut[index] else ""
        yield f"  particle {index + 1:<4}{diameter:>10}, aspect {result.aspect[index]:.2f}{cut}"
    if result.n_particles > 10:
        yield f"  … {result.n_particles - 10} smaller"
