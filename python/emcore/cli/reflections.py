"""`emcore reflections`: group the positions of a scan by how strong their reflections are."""

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
    add_seed_option,
    auto_or_count,
    positive_number,
    refuse_radius_without_mask,
    refuse_unknown,
    whole_number,
)
from emcore.cli.run import each_file
from emcore.io.registry import SCAN

if TYPE_CHECKING:
    from emcore.results.reflections import ReflectionClustering

TEXT = "Find the grains of a scan by how strong their reflections are."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.cluster_reflections`."""
    add_files(parser, "a scan of patterns, or a folder of scans")
    parser.add_argument("--clusters", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument(
        "--method", default="ward", metavar="HOW", help="ward joins what touches, kmeans groups what is alike (ward)"
    )
    parser.add_argument(
        "--scaling", default="noise", metavar="BY", help="strengths are divided by their noise or their mean (noise)"
    )
    parser.add_argument(
        "--reflections", type=whole_number(1), default=500, metavar="N", help="use at most so many (500)"
    )
    parser.add_argument("--disc-radius", type=positive_number, metavar="R", help="of reflections, in pixels (as found)")
    parser.add_argument("--max-radius", type=positive_number, metavar="R", help="use none farther from the beam (all)")
    add_scan_options(parser)
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Cluster every file."""
    from emcore.scans.strengths import SCALINGS
    from emcore.workflows.reflections import METHODS

    refuse_unknown(parser, options, {"method": METHODS, "scaling": SCALINGS})
    refuse_radius_without_mask(parser, options)
    if options.clusters == 1:
        parser.error("--clusters 1 groups nothing: give 2 or more, or auto")

    def work(file: Path) -> "ReflectionClustering":
        result: ReflectionClustering = emcore.cluster_reflections(
            file,
            options.clusters,
            method=options.method,
            scaling=options.scaling,
            n_reflections=options.reflections,
            disc_radius=options.disc_radius,
            mask_beam=options.mask_beam,
            beam_radius=options.beam_radius,
            max_radius=options.max_radius,
            scan_shape=options.scan,
            signal_axis=options.signal_axis,
            dataset=options.dataset,
            random_state=options.seed,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, SCAN, work, tell)


def tell(result: "ReflectionClustering") -> Iterator[str]:
    """What was decided, and the largest clusters."""
    from emcore.core.wording import count_of, empty
    from emcore.reporting.pages.reflections import key_numbers
    from emcore.reporting.pages.scan import size_of
    from emcore.scans.reflections import CRYSTAL

    yield f"{result.provenance.input_name}: {count_of(result.n_clusters, 'cluster')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for index in range(min(result.n_clusters, 10)):
        kind = "" if result.kinds[index] == CRYSTAL else f"  {result.kinds[index]}"
        yield f"  cluster {index + 1:<3}{100 * float(result.area[index]):5.1f} %{kind}"
    if result.n_clusters > 10:
        yield f"  … {result.n_clusters - 10} smaller"
