"""`emcore unmix`: find the phases of an EDS or EELS spectrum image, their maps and spectra."""

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
    add_range_option,
    add_references,
    add_signal_options,
    auto_or_count,
)
from emcore.cli.run import each_file
from emcore.io.registry import SPECTRA

if TYPE_CHECKING:
    from emcore.results.unmixing import Unmixing

TEXT = "Find the phases of an EDS or EELS spectrum image, their maps and spectra."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.unmix`."""
    add_files(parser, "a spectrum image, or a folder of such files")
    parser.add_argument("--components", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument("--weighting", default="poisson", help="for counting noise, or none (poisson)")
    parser.add_argument("--loss", default="frobenius", help="or kullback-leibler, which is slower (frobenius)")
    add_references(parser, "spectra that are known and stay as they are")
    add_range_option(parser)
    parser.add_argument("--mask-vacuum", action="store_true", help="leave out positions with next to no counts")
    parser.add_argument("--negative", help="clip: set to zero what is negative, if it is under 0.1 %% (refused)")
    parser.add_argument("--keep-cosmic-rays", action="store_true", help="of a camera, which are taken out otherwise")
    parser.add_argument("--blocks", type=_blocks, metavar="auto|Y,X", help="search blocks of the scan by themselves")
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_signal_options(parser)
    add_output_options(parser)


def _blocks(text: str) -> str | tuple[int, int]:
    if text == "auto":
        return text
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor lines and columns of a block, as in 64,64")
    return int(parts[0]), int(parts[1])


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Unmix every file."""
    from emcore.core.validation import check_option
    from emcore.methods.nmf.fit import LOSSES
    from emcore.methods.unmixing.endmembers import WEIGHTINGS
    from emcore.scans.spectrum_values import NEGATIVES

    try:
        check_option(options.weighting, WEIGHTINGS, "--weighting")
        check_option(options.loss, LOSSES, "--loss")
        if options.negative is not None:
            check_option(options.negative, NEGATIVES, "--negative")
    except ValueError as error:
        parser.error(str(error))

    def work(file: Path) -> "Unmixing":
        result: Unmixing = emcore.unmix(
            file,
            options.components,
            weighting=options.weighting,
            loss=options.loss,
            references=options.references,
            navigation_mask="vacuum" if options.mask_vacuum else None,
            signal_range=options.range,
            negative=options.negative,
            blocks=options.blocks,
            signal_axis=options.signal_axis,
            scan_shape=options.scan,
            dataset=options.dataset,
            cosmic_rays="keep" if options.keep_cosmic_rays else "remove",
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, SPECTRA, work, tell)


def tell(result: "Unmixing") -> Iterator[str]:
    """What was decided, and the components."""
    from emcore.core.wording import count_of, empty, number
    from emcore.reporting.pages.scan import size_of
    from emcore.reporting.pages.spectra import peaks_of, peaks_said
    from emcore.reporting.pages.unmixing import amount, residuals

    (energy,) = result.mean.axes
    yield f"{result.provenance.input_name}: {count_of(result.n_components, 'component')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    values = energy.values
    ends = f", {values[0]:.5g} to {values[-1]:.5g} {energy.units}" if energy.calibrated else ""
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}; {count_of(energy.size, 'channel')}{ends}"
    if result.above_edge:
        yield f"  edge      {result.above_edge} above the bare edge of counting noise"
    left = residuals(result)
    mean, most = number(float(left.mean())), number(float(left.max()))
    yield f"  residual  {mean} {result.residual_unit} on average, at most {most}"
    for index, peaks in enumerate(peaks_of(result)):
        strongest = values[int(result.spectra[index].argmax())]
        at = f"  strongest at {strongest:.5g} {energy.units}" if energy.calibrated else ""
        if any(peak.lines for peak in peaks):
            at = f"  peaks {peaks_said(peaks, energy, 6)}"
        given = f"  {result.references[index]}, fixed" if index < len(result.references) else ""
        part = f"{100 * float(result.fraction[index]):6.2f} % of the {amount(result)}"
        yield f"  component {index + 1:<3}{part}{given}{at}"
