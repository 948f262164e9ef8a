"""`emcore correlate`: find the phases of a scan from several signals taken at the same positions."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.options import (
    add_checkpoint_option,
    add_memory_option,
    add_output_options,
    add_seed_option,
    auto_or_count,
    refuse_unknown,
    signal_axis,
)
from emcore.cli.run import one_job

if TYPE_CHECKING:
    from emcore.results.fuzzy_clustering import FuzzyClustering

TEXT = "Find the phases of a scan from two or more signals taken at the same positions, one file each."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.correlate`."""
    parser.add_argument("first", metavar="DIFFRACTION", type=Path, help="a signal at every position of the scan")
    parser.add_argument("more", metavar="EDS", type=Path, nargs="+", help="another at the same positions, or more")
    parser.add_argument(
        "--clusters", type=auto_or_count, default="auto", metavar="auto|K", help="how many phases (auto)"
    )
    parser.add_argument(
        "--method", default="common-shape", help="or gustafson-kessel, fuzzy-c-means, k-means (%(default)s)"
    )
    parser.add_argument("--scaling", default="noise", help="or standard, poisson, robust (%(default)s)")
    parser.add_argument("--balance", default="equal", help="between the signals: or ratio, none (%(default)s)")
    parser.add_argument("--components", default="noise", metavar="RULE|K", help="how many, or a rule (%(default)s)")
    parser.add_argument("--threshold", type=_part, default=0.5, help="membership from which on a position counts (0.5)")
    parser.add_argument(
        "--dataset", action="append", metavar="NAME|N", help="which data set, once for each file in turn (as found)"
    )
    parser.add_argument(
        "--signal-axis", action="append", type=signal_axis, metavar="AXIS", help="the same of the signal's axis or axes"
    )
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def _part(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Correlate the files, which are one job."""
    from emcore.scans.merging import BALANCES, SCALINGS
    from emcore.workflows.correlate import COMPONENT_RULES, METHODS

    components = int(options.components) if options.components.isdecimal() else options.components
    choices: dict[str, tuple[str, ...]] = {"method": METHODS, "scaling": SCALINGS, "balance": BALANCES}
    if isinstance(components, str):
        choices["components"] = COMPONENT_RULES
    refuse_unknown(parser, options, choices)
    if options.clusters == 1:
        parser.error("--clusters 1 groups nothing: give 2 or more, or auto")
    files = [options.first, *options.more]
    for name in ("dataset", "signal_axis"):
        given = getattr(options, name)
        if given and len(given) != len(files):
            parser.error(
                f"--{name.replace('_', '-')} is given {len(given)} times for {len(files)} files: give one each"
            )

    def work() -> "FuzzyClustering":
        result: FuzzyClustering = emcore.correlate(
            files,
            options.clusters,
            method=options.method,
            scaling=options.scaling,
            balance=options.balance,
            components=components,
            threshold=options.threshold,
            signal_axis=options.signal_axis,
            dataset=options.dataset,
            random_state=options.seed,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return one_job(options, "_".join(file.stem for file in files), files, work, tell)


def tell(result: "FuzzyClustering") -> Iterator[str]:
    """What was decided, and the clusters."""
    from emcore.core.wording import count_of, empty, number
    from emcore.methods.selection.agreement import adjusted_rand_index
    from emcore.reporting.pages.scan import size_of

    parameters = result.provenance.parameters
    yield f"{result.provenance.input_name}: {count_of(result.n_clusters, 'cluster')}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    rule = "" if result.rule == "given" else f"rule {result.rule}: "
    yield f"  reduced   {count_of(result.n_components, 'component')}, {rule}{result.reason}"
    yield f"  clusters  {result.number}"
    yield f"  clustered {parameters['method']}, m = {parameters['m']:.3g}"
    indices = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in result.validity.items())
    yield f"  validity  {indices}"
    for index in range(result.n_clusters):
        above = count_of(int(result.positions[index]), "position")
        yield f"  cluster {index + 1:<3}{100 * float(result.area[index]):5.1f} %  {above} above {result.threshold:g}"
    there = result.labels >= 0
    for mean, memberships in zip(result.means, result.alone, strict=True):
        agreement = adjusted_rand_index(result.labels[there], memberships.argmax(axis=0)[there])
        yield f"  alone     {mean.title}: adjusted Rand index {agreement:.2f} with all together"
