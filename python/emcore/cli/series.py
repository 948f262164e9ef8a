"""`emcore series`: group the positions of a series of images by how their intensity changes."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.groups import add_grouping_options, grouping_settings, tell
from emcore.cli.options import add_dataset_option, add_files, add_output_options, add_seed_option, signal_axis
from emcore.cli.run import each_file
from emcore.io.registry import IMAGE

if TYPE_CHECKING:
    from emcore.results.clustering import Clustering

TEXT = "Group the positions of a series of images, over tilt, rotation or energy; grains and what is none."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.image_series` and `emcore.group_signals`."""
    add_files(parser, "a stack of images of one region, or a folder of stacks")
    parser.add_argument("--register", action="store_true", help="take drift between the images out")
    add_grouping_options(parser)
    add_dataset_option(parser)
    parser.add_argument(
        "--signal-axis", type=signal_axis, metavar="AXIS", help="name or number of the series' axis (as found)"
    )
    add_seed_option(parser)
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Group every file."""
    settings = grouping_settings(parser, options)

    def work(file: Path) -> "Clustering":
        profiles = emcore.image_series(
            file, register=options.register, signal_axis=options.signal_axis, dataset=options.dataset
        )
        result: Clustering = emcore.group_signals(profiles, **settings)
        return result

    return each_file(options, IMAGE, work, tell)
