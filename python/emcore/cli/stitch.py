"""`emcore stitch`: lay overlapping scans or images on one grid and join their grains."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emcore
from emcore.cli.options import add_dataset_option, add_output_options, refuse_unknown, scan_shape, signal_axis
from emcore.cli.run import one_job

if TYPE_CHECKING:
    from emcore.results.mosaic import Mosaic

TEXT = "Lay overlapping scans, results of `emcore grains` or images on one grid and join their grains; a table as CSV."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.stitch`."""
    parser.add_argument(
        "first", metavar="FILE", type=Path, help="the frame of all: a result of grains, a scan of patterns or an image"
    )
    parser.add_argument("more", metavar="FILE", type=Path, nargs="+", help="what overlaps it, or one another")
    parser.add_argument(
        "--transform",
        default="auto",
        metavar="HOW",
        help="auto, translation, rigid, similarity or affine (auto: rigid, or similarity where scales differ)",
    )
    turns = parser.add_mutually_exclusive_group()
    turns.add_argument(
        "--patterns-turn", action="store_const", const=True, dest="patterns_turn", help="the sample was turned"
    )
    turns.add_argument(
        "--patterns-stay", action="store_const", const=False, dest="patterns_turn", help="the scan was (as found)"
    )
    parser.add_argument(
        "--min-correlation", type=_correlation, default=0.5, metavar="R", help="of grains that are joined (0.5)"
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        type=_map,
        metavar="NAME=FILE[,FILE]",
        help="another modality, and an image or mask that it is registered on",
    )
    parser.add_argument("--grains", type=int, metavar="N", help="in every scan that is segmented (as found)")
    parser.add_argument("--signal-axis", type=signal_axis, metavar="AXIS", help="the two axes of a pattern, as in 2,3")
    parser.add_argument("--scan", type=scan_shape, metavar="Y,X", help="lines of a scan and positions in each")
    add_dataset_option(parser)
    add_output_options(parser)


def _correlation(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from -1 to 1")
    return value


def _map(text: str) -> tuple[str, Path | tuple[Path, Path]]:
    name, equals, files = text.partition("=")
    paths = [Path(each) for each in files.split(",")]
    if not (name and equals and files) or len(paths) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no map: give a name and a file, as in pl=map.tif")
    return name, paths[0] if len(paths) == 1 else (paths[0], paths[1])


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Stitch the files, which are one job."""
    from emcore.workflows.stitch import TRANSFORMS

    refuse_unknown(parser, options, {"transform": TRANSFORMS})
    files = [options.first, *options.more]
    settings: dict[str, Any] = {
        "n_grains": options.grains,
        "signal_axis": options.signal_axis,
        "scan_shape": options.scan,
    }

    def work(table: Path) -> "Mosaic":
        result: Mosaic = emcore.stitch(
            files,
            transform=options.transform,
            patterns_turn="auto" if options.patterns_turn is None else options.patterns_turn,
            min_correlation=options.min_correlation,
            maps=dict(options.map),
            grains={name: value for name, value in settings.items() if value is not None},
            dataset=options.dataset,
        )
        result.write_table(table, overwrite=options.force)
        return result

    return one_job(options, f"{options.first.stem}_mosaic", files, work, tell, also=("_table.csv",))


def tell(result: "Mosaic") -> Iterator[str]:
    """What was decided, and where each scan lies."""
    from emcore.methods.registration.transforms import angle_of, scale_of
    from emcore.reporting.pages.mosaic import key_numbers
    from emcore.reporting.pages.scan import size_of

    yield f"{result.provenance.input_name}: {result.n_scans} scans"
    yield f"  mosaic    {size_of(result.image.axes)}"
    for name, text in key_numbers(result).items():
        yield f"  {name:<9} {text}"
    for index, matrix in enumerate(result.transforms):
        where = f"y {matrix[0, 2]:8.2f}  x {matrix[1, 2]:8.2f}  turned {angle_of(matrix):7.2f}°"
        sure = f"± {float(result.uncertainty[index]):.2f} positions"
        yield f"  scan {index + 1:<4} {where}  scale {scale_of(matrix):.4f}  {sure}  {result.names[index]}"
