"""`emcore curves`: group the positions of a scan by their curves."""

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
    auto_or_count,
    refuse_unknown,
)
from emcore.cli.run import each_file
from emcore.io.registry import CURVES

if TYPE_CHECKING:
    from emcore.results.clustering import Clustering

TEXT = "Group the positions of a scan by their curves: current-voltage, force, or any other."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.cluster_curves`."""
    add_files(parser, "curves at every position, or a folder of such files")
    parser.add_argument("--clusters", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument("--normalize", help="what each curve is divided by: max or l2 (nothing)")
    parser.add_argument("--crop", help="common: the points that all curves have, where curves end early (all points)")
    add_signal_options(parser)
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Cluster every file."""
    from emcore.workflows.curves import CROPS, NORMALIZATIONS

    choices = {"normalize": NORMALIZATIONS, "crop": CROPS}
    refuse_unknown(
        parser, options, {name: each for name, each in choices.items() if getattr(options, name) is not None}
    )
    if options.clusters == 1:
        parser.error("--clusters 1 groups nothing: give 2 or more, or auto")

    def work(file: Path) -> "Clustering":
        result: Clustering = emcore.cluster_curves(
            file,
            options.clusters,
            normalize=options.normalize,
            crop=options.crop,
            signal_axis=options.signal_axis,
            scan_shape=options.scan,
            dataset=options.dataset,
            random_state=options.seed,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, CURVES, work, tell)


def tell(result: "Clustering") -> Iterator[str]:
    """What was decided, and the groups."""
    from emcore.core.wording import count_of, empty, symbol
    from emcore.reporting.pages.curves import cells, key_numbers, slope_of
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {count_of(result.n_clusters, 'cluster')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    quantity = slope_of(result)
    for index in range(result.n_clusters):
        said = ""
        if quantity is not None:
            slope, straight = cells(result, index)
            units = f" {symbol(quantity.units)}" if quantity.units else ""
            said = f"  {f'{quantity.name} {slope}{units}' if '±' in slope else slope}, R² {straight}"
        yield f"  cluster {index + 1:<3}{100 * float(result.area[index]):5.1f} %{said}"
