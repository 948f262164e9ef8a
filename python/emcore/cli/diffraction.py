"""`emcore diffraction`: group the positions of a scan by their diffraction patterns."""

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
    refuse_radius_without_mask,
    refuse_unknown,
)
from emcore.cli.run import each_file
from emcore.io.registry import SCAN

if TYPE_CHECKING:
    from emcore.results.clustering import Clustering

TEXT = "Group the positions of a scan by their diffraction patterns."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.cluster_diffraction`."""
    add_files(parser, "a scan of patterns, or a folder of scans")
    parser.add_argument("--clusters", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument(
        "--normalize", default="sqrt", metavar="HOW", help="sqrt, none, sum, max, l2, log1p or root-sum (sqrt)"
    )
    parser.add_argument(
        "--reduce", type=_reduce, default="auto", metavar="auto|pca|N|none",
        help="compare what varies by more than noise, principal components of all pixels, or all pixels (auto)",
    )  # fmt: skip
    add_scan_options(parser)
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def _reduce(text: str) -> int | str | None:
    if text in ("auto", "pca"):
        return text
    if text == "none":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto, pca, none nor a whole number from 1 on")
    return int(text)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Cluster every file."""
    from emcore.methods.preprocessing import NORMALIZATIONS

    refuse_unknown(parser, options, {"normalize": NORMALIZATIONS})
    refuse_radius_without_mask(parser, options)
    if options.clusters == 1:
        parser.error("--clusters 1 groups nothing: give 2 or more, or auto")

    def work(file: Path) -> "Clustering":
        result: Clustering = emcore.cluster_diffraction(
            file,
            options.clusters,
            mask_beam=options.mask_beam,
            beam_radius=options.beam_radius,
            normalize=options.normalize,
            reduce=options.reduce,
            scan_shape=options.scan,
            signal_axis=options.signal_axis,
            dataset=options.dataset,
            random_state=options.seed,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, SCAN, work, tell)


def tell(result: "Clustering") -> Iterator[str]:
    """What was decided, and the clusters."""
    from emcore.core.wording import count_of, empty
    from emcore.reporting.pages.patterns import key_numbers
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {count_of(result.n_clusters, 'cluster')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for index in range(result.n_clusters):
        yield f"  cluster {index + 1:<3}{100 * float(result.area[index]):5.1f} %"
