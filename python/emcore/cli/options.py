"""Options that several verbs have, and how the words after an option become a value."""

import argparse
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from emcore.core.control import MAX_THREADS

# What the command line says shorter than Python.
_LONGER = {
    "--clusters": "--n-clusters",
    "--components": "--n-components",
    "--grains": "--n-grains",
    "--peaks": "--n-peaks",
    "--range": "--signal-range",
    "--reflections": "--n-reflections",
    "--regions": "--n-regions",
    "--scan": "--scan-shape",
    "--seed": "--random-state",
    "--segments": "--n-segments",
}


def also_by_the_names_of_python(parser: argparse.ArgumentParser) -> None:
    """Take the names of the function's parameters too, which help does not list."""
    known = parser._option_string_actions
    for short, longer in _LONGER.items():
        if short in known:
            known.setdefault(longer, known[short])


def add_files(parser: argparse.ArgumentParser, text: str) -> None:
    """One or more files or folders, as `options.files`."""
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help=text)


def add_folder_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Where `what` is written, and how much is said."""
    parser.add_argument("--output", type=Path, default=Path(), metavar="DIR", help=f"folder for {what} (this one)")
    parser.add_argument("--force", action="store_true", help=f"replace existing {what}")
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """What every verb has that computes and writes results; `emcore.cli.run` acts on them."""
    add_folder_options(parser, "results")
    parser.add_argument("--preset", type=Path, metavar="FILE", help="options, TOML (emcore.toml beside the data)")
    parser.add_argument("--threads", type=whole_number(1, MAX_THREADS), help="how many threads compute (all cores)")
    parser.add_argument("--html", action="store_true", help="also write a page to look into the results")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each result, for programs")


def add_seed_option(parser: argparse.ArgumentParser) -> None:
    """Of the random numbers with which the work begins."""
    parser.add_argument("--seed", type=whole_number(0), default=0, metavar="N", help="of random numbers (0)")


def add_dataset_option(parser: argparse.ArgumentParser) -> None:
    """Which data set of a file."""
    parser.add_argument(
        "--dataset", metavar="NAME|N", help="which data set of the file, see emcore info (the largest that suits)"
    )


def add_memory_option(parser: argparse.ArgumentParser) -> None:
    """How much memory data may take that are left in their file otherwise."""
    parser.add_argument("--memory", type=_memory, help="as in '2 GiB'; a larger file is visited in blocks (1 GiB)")


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """Where the state of a job is saved; `each_file` refuses it of several files."""
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="keep there what is known: a job that was killed goes on"
    )


def add_references(parser: argparse.ArgumentParser, text: str, required: bool = False) -> None:
    """Files of known signals."""
    parser.add_argument(
        "--references",
        type=Path,
        nargs="+",
        action="extend",
        required=required,
        metavar="FILE",
        help=f"{text}: .msa, .csv, HDF5 or other files, or results; behind the files that are analysed",
    )


def add_range_option(parser: argparse.ArgumentParser) -> None:
    """Which channels of a spectrum."""
    parser.add_argument("--range", type=_range, metavar="LOW,HIGH", help="energies in eV (all, without a strobe at 0)")


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        raise argparse.ArgumentTypeError(f"{text!r} is no range: give the first and the last energy, as in 200,10000")
    return low, high


def _memory(text: str) -> str:
    from emcore.core.memory import check_memory

    try:
        check_memory(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_signal_options(parser: argparse.ArgumentParser, axes: str = "the signal axis") -> None:
    """Which data set of a file, and what its axes mean where they do not say."""
    add_dataset_option(parser)
    parser.add_argument("--signal-axis", type=signal_axis, metavar="AXIS", help=f"name or number of {axes} (as found)")
    parser.add_argument("--scan", type=scan_shape, metavar="Y,X", help="lines of the scan and positions in each")


def signal_axis(text: str) -> int | str | tuple[int | str, ...]:
    """Reads the number or name of an axis, or those of two, "2,3"."""
    parts = [int(part) if part.lstrip("-").isdecimal() else part for part in (p.strip() for p in text.split(","))]
    if not 1 <= len(parts) <= 2 or "" in parts:
        raise argparse.ArgumentTypeError(f"{text!r} names no axis: give a name or number, of a pattern two, as in 2,3")
    return parts[0] if len(parts) == 1 else tuple(parts)


def add_scan_options(parser: argparse.ArgumentParser) -> None:
    """Which patterns of a file, and the mask over their beam."""
    add_signal_options(parser, "the two axes of a pattern, as in 2,3")
    parser.add_argument("--no-mask-beam", dest="mask_beam", action="store_false", help="keep the direct beam")
    parser.add_argument("--beam-radius", type=positive_number, metavar="R", help="mask so many pixels (as found)")


def refuse_radius_without_mask(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Of the options of `add_scan_options`."""
    if options.beam_radius is not None and not options.mask_beam:
        parser.error("--beam-radius goes with a mask, --no-mask-beam without: leave one out")


def refuse_unknown(
    parser: argparse.ArgumentParser, options: argparse.Namespace, allowed: Mapping[str, Iterable[str]]
) -> None:
    """Refuse words that are not among those allowed for an option of that name."""
    from emcore.core.validation import check_option

    try:
        for name, choices in allowed.items():
            check_option(getattr(options, name.replace("-", "_")), choices, f"--{name}")
    except ValueError as error:
        parser.error(str(error))


def whole_number(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            end = "on" if math.isinf(most) else f"to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} {end}")
        return int(text)

    return number


def auto_or_count(text: str, least: int = 1) -> int | str:
    """Reads "auto" or a whole number from `least` on."""
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number from {least} on")
    return int(text)


def frame(text: str) -> int | tuple[int, ...]:
    """Reads the place of one picture in a stack, "3" or "3,5"."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no frame: give one number from 0 on for each axis of the stack")
    index = tuple(int(part) for part in parts)
    return index[0] if len(index) == 1 else index


def positive_number(text: str) -> float:
    """Reads a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def scan_shape(text: str) -> tuple[int, int]:
    """Reads lines of a scan and positions in each, "3,5"."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no scan: give its lines and the positions in each, as in 32,64")
    return int(parts[0]), int(parts[1])
