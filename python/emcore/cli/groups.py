"""`emcore groups`: group the positions of a scan by their spectra, without a number of groups."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emcore
from emcore.cli.options import (
    add_files,
    add_memory_option,
    add_output_options,
    add_seed_option,
    add_signal_options,
    auto_or_count,
    refuse_unknown,
    whole_number,
)
from emcore.cli.run import each_file
from emcore.io.registry import SPECTRA

if TYPE_CHECKING:
    from emcore.results.clustering import Clustering

TEXT = "Group the positions of a scan by their spectra or profiles, without a number, and say what is in no group."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.group_signals`."""
    add_files(parser, "a spectrum image, or a folder of them")
    add_grouping_options(parser)
    add_signal_options(parser)
    add_memory_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def add_grouping_options(parser: argparse.ArgumentParser) -> None:
    """How signals are compared and grouped."""
    parser.add_argument("--method", default="hdbscan", metavar="HOW", help="hdbscan, mixture or kmeans (hdbscan)")
    parser.add_argument(
        "--clusters", type=auto_or_count, default="auto", metavar="auto|K", help="of a mixture or k-means (auto)"
    )
    parser.add_argument("--normalize", default="l2", metavar="HOW", help="divide by l2, l1, max or none (l2)")
    parser.add_argument(
        "--reduce", type=_reduction, default="auto", metavar="HOW", help="auto, nmf, umap, all or a number (auto)"
    )
    parser.add_argument(
        "--min-cluster-size", type=auto_or_count, default="auto", metavar="auto|N", help="smallest group (auto)"
    )
    parser.add_argument(
        "--min-samples", type=auto_or_count, default="auto", metavar="auto|N", help="neighbours of a density (auto)"
    )
    parser.add_argument(
        "--sample", type=whole_number(100), default=20_000, metavar="N", help="positions HDBSCAN is fitted on (20000)"
    )


def _reduction(text: str) -> int | str | None:
    return None if text == "all" else int(text) if text.isdecimal() else text


def grouping_settings(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `emcore.group_signals` that these options are, checked."""
    from emcore.scans.profiles import NORMALIZATIONS, REDUCTIONS
    from emcore.workflows.groups import METHODS

    words = {"method": METHODS, "normalize": tuple(NORMALIZATIONS)}
    refuse_unknown(parser, options, words | ({"reduce": REDUCTIONS} if isinstance(options.reduce, str) else {}))
    if options.clusters == 1:
        parser.error("--clusters 1 groups nothing: give 2 or more, or auto")
    names = ("method", "normalize", "reduce", "min_cluster_size", "min_samples", "sample")
    return {name: getattr(options, name) for name in names} | {
        "n_clusters": options.clusters,
        "random_state": options.seed,
    }


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Group every file."""
    settings = grouping_settings(parser, options)

    def work(file: Path) -> "Clustering":
        result: Clustering = emcore.group_signals(
            file,
            signal_axis=options.signal_axis,
            scan_shape=options.scan,
            dataset=options.dataset,
            memory=options.memory,
            **settings,
        )
        return result

    return each_file(options, SPECTRA, work, tell)


def tell(result: "Clustering") -> Iterator[str]:
    """What was decided, the groups, the noise and the grains."""
    from emcore.core.wording import count_of, empty, symbol
    from emcore.reporting.pages.density import grain_sizes
    from emcore.reporting.pages.profiles import key_numbers
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {count_of(result.n_clusters, 'group')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for said in grain_sizes(result):
        yield f"  sizes     {said}"
    units = symbol(result.mean.axes[0].units)
    for index in range(min(result.n_clusters, 20)):
        peak = "" if result.peaks is None else f"  peak at {result.peaks[index]:.4g} {units}"
        yield f"  group {index + 1:<5}{100 * float(result.area[index]):5.1f} %{peak}"
    if result.n_clusters > 20:
        yield f"  … {result.n_clusters - 20} smaller"
