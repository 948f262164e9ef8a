"""`emcore demo`: analyse a synthetic micrograph and say how well its regions were found."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.files import Failures, collected, report_failures
from emcore.cli.image import tell as tell_image
from emcore.cli.options import add_output_options
from emcore.cli.run import one_result, prepare

if TYPE_CHECKING:
    from emcore.results.image_analysis import ImageAnalysis

TEXT = "Analyse a synthetic micrograph and say how well its regions were found."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of every verb that computes."""
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Analyse the demo's micrograph."""
    from emcore.datasets import adjusted_rand_index, far_from_borders, lattice_micrograph

    prepare(options)
    sample = lattice_micrograph()

    def work() -> "ImageAnalysis":
        signal = emcore.as_signal(sample.image, title="synthetic micrograph")
        result: ImageAnalysis = emcore.analyze_image(signal)
        return result

    def tell(result: "ImageAnalysis") -> Iterator[str]:
        yield from tell_image(result)
        inside = far_from_borders(sample.labels, result.provenance.parameters["window"])
        everywhere = adjusted_rand_index(sample.labels, result.regions)
        well_inside = adjusted_rand_index(sample.labels[inside], result.regions[inside])
        yield f"  truth     {len(sample.spacing)} regions, agreement (adjusted Rand index, at best 1)"
        yield f"            {everywhere:.3f} everywhere, {well_inside:.3f} more than a window from the borders"

    failures: Failures = []
    with collected(Path("demo"), failures):
        one_result(options, "demo", [], work, tell)
    return report_failures(failures)
