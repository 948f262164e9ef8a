"""`emcore peaks`: map the peaks of a hyperspectral stack."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emcore
from emcore.cli.options import (
    add_checkpoint_option,
    add_files,
    add_memory_option,
    add_output_options,
    add_signal_options,
    auto_or_count,
    whole_number,
)
from emcore.cli.run import each_file, one_job
from emcore.io.registry import SPECTRA

if TYPE_CHECKING:
    from emcore.results.peak_map import PeakMap

TEXT = "Map the peaks of images at a series of energies, or of spectra, by the nearest spectrum."

_DIFFERENTIATE: dict[str, bool | str] = {"auto": "auto", "yes": True, "no": False}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.map_peaks`."""
    add_files(parser, "a stack or spectrum image, or a folder of them; with --frames the images of one stack")
    parser.add_argument(
        "--frames", action="store_true", help="the files named, or those of the folder named, are one image each"
    )
    parser.add_argument(
        "--energies", type=_energies, metavar="FILE|E,E,...", help="of each image in eV: numbers, or a text file"
    )
    parser.add_argument(
        "--differentiate",
        choices=tuple(_DIFFERENTIATE),
        default="auto",
        help="counts are of all up to each (auto)",
    )
    parser.add_argument("--register", action="store_true", help="take drift between the images out")
    parser.add_argument("--block", type=whole_number(1, 1000), default=3, metavar="N", help="side of a block (3)")
    parser.add_argument("--peaks", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument(
        "--max-angle", type=_angle, default="auto", metavar="auto|DEG", help="beyond it a position has none (auto)"
    )
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_signal_options(parser)
    add_output_options(parser)


def _energies(text: str) -> list[float]:
    path = Path(text)
    words = (path.read_text(encoding="utf-8", errors="replace") if path.is_file() else text).replace(",", " ")
    try:
        return [float(word) for word in words.split()]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a text file of numbers nor numbers, 0,0.1,…") from None


def _angle(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 90:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number from 0 to 90")
    return value


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Map every file, or one series."""
    settings: dict[str, Any] = {
        "block": options.block,
        "n_peaks": options.peaks,
        "differentiate": _DIFFERENTIATE[options.differentiate],
        "energies": options.energies,
        "register": options.register,
        "max_angle": options.max_angle,
        "signal_axis": options.signal_axis,
        "scan_shape": options.scan,
        "dataset": options.dataset,
        "memory": options.memory,
        "checkpoint": options.checkpoint,
    }

    def work(file: Any) -> "PeakMap":
        result: PeakMap = emcore.map_peaks(file, **settings)
        return result

    if not options.frames:
        return each_file(options, SPECTRA, work, tell)
    images = options.files[0] if len(options.files) == 1 else options.files
    return one_job(options, options.files[0].stem, options.files, lambda: work(images), tell)


def tell(result: "PeakMap") -> Iterator[str]:
    """What was decided, and the peaks."""
    from emcore.core.wording import count_of, empty, symbol
    from emcore.reporting.pages.peaks import key_numbers
    from emcore.reporting.pages.scan import size_of
    from emcore.results.peak_map import decimals

    yield f"{result.provenance.input_name}: {count_of(result.n_peaks, 'peak')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    yield f"  scan      {size_of(result.image.axes)}{empty(result.n_empty)}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    units = symbol(result.mean.axes[0].units) if result.mean.axes[0].calibrated else ""
    digits = decimals(result.errors, result.energies)
    for peak in range(result.n_peaks):
        group = int(result.reference_of[peak])
        energy, error, spread = (
            f"{float(values[peak]):.{digits}f}" for values in (result.energies, result.errors, result.spreads)
        )
        yield (
            f"  peak {peak + 1:<3} {energy} ± {error} {units}, spread {spread}, "
            f"{100 * float(result.area[group]):.1f} % of the area (spectrum {group + 1})"
        )
