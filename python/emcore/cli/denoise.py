"""`emcore denoise`: take the noise off a scan of spectra or patterns."""

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
    add_signal_options,
    auto_or_count,
    refuse_unknown,
)
from emcore.cli.run import each_file
from emcore.io.registry import SPECTRA

if TYPE_CHECKING:
    from emcore.results.denoised import Denoised

TEXT = "Take the noise off a scan of spectra or patterns: at low rank, weighted for counts."
FORMATS = ("hspy", "h5", "zspy", "emd", "npy")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.denoise`."""
    add_files(parser, "a scan of spectra, curves or patterns, or a folder of such files")
    parser.add_argument("--components", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument(
        "--format", default="hspy", help="of the scan that is written: hspy, h5, zspy, emd or npy (hspy)"
    )
    parser.add_argument("--native", action="store_true", help="write the type of the data, not float32: rounded")
    parser.add_argument("--weighting", default="auto", help="poisson for counts, or none (as the noise is found)")
    parser.add_argument("--negative", default="clip", help="clip, or keep what comes out negative (clip)")
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_signal_options(parser, "the axis of a spectrum, or both of a pattern, as in 2,3")
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Denoise every file."""
    from emcore.workflows.denoise import NEGATIVES
    from emcore.workflows.denoise_noise import WEIGHTINGS

    refuse_unknown(parser, options, {"format": FORMATS, "weighting": WEIGHTINGS, "negative": NEGATIVES})

    def work(file: Path, out: Path) -> "Denoised":
        result: Denoised = emcore.denoise(
            file,
            options.components,
            out=out,
            dtype="native" if options.native else "float32",
            weighting=options.weighting,
            negative=options.negative,
            signal_axis=options.signal_axis,
            scan_shape=options.scan,
            dataset=options.dataset,
            memory=options.memory,
            checkpoint=options.checkpoint,
            overwrite=options.force,
        )
        return result

    return each_file(options, SPECTRA, work, tell, also=(f"_denoised.{options.format}",))


def tell(result: "Denoised") -> Iterator[str]:
    """What was decided, and where it is."""
    from emcore.core.wording import count_of, empty
    from emcore.reporting.pages.denoised import key_numbers
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {count_of(result.n_components, 'component')} kept"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in key_numbers(result).items():
        yield f"  {name if name != 'scan' else 'denoised':<9} {text}"
