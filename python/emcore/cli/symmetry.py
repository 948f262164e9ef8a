"""`emcore symmetry`: find the regions of an image, or of every frame of a series, that differ in local symmetry."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emcore
from emcore.cli.files import Failures, collected, expand, output_names, report_failures
from emcore.cli.options import (
    add_dataset_option,
    add_files,
    add_output_options,
    add_seed_option,
    auto_or_count,
    frame,
    refuse_unknown,
    whole_number,
)
from emcore.cli.run import one_result, prepare
from emcore.io.registry import IMAGE

if TYPE_CHECKING:
    from emcore.results.symmetry_map import SymmetryMap, SymmetrySeries

TEXT = "Find the regions of an atomic-resolution image, or of a series, that differ in local symmetry."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.local_symmetry` and `emcore.local_symmetry_series`."""
    add_files(parser, "an image, a stack of frames, or a folder of such files")
    parser.add_argument("--score", default="translation", help="translation, rotation or reflection (translation)")
    parser.add_argument("--pool", help="max: the largest translations only, which do not change with orientation")
    parser.add_argument("--regions", type=auto_or_count, default="auto", metavar="auto|K", help="how many (auto)")
    parser.add_argument(
        "--components", type=whole_number(1), default=5, metavar="K", help="by which points are told apart (5)"
    )
    parser.add_argument("--window", type=_length, metavar="N|LENGTH", help="half size, as 21 or 1.2nm (by the period)")
    parser.add_argument("--patch", type=_length, metavar="N|LENGTH", help="half size, as 20 or 1.2nm (by the period)")
    parser.add_argument("--stride", type=whole_number(1), help="pixels between points (by the patch)")
    parser.add_argument(
        "--frames", action="store_true", help="the files, or those of the folder, are frames of one series"
    )
    parser.add_argument("--reference", type=whole_number(0), default=0, help="frame in which regions are found (0)")
    parser.add_argument("--frame", type=frame, metavar="I[,J]", help="only this image of a stack, from 0 on")
    add_dataset_option(parser)
    parser.add_argument("--include-info-bar", action="store_true", help="analyse the bar below the picture, too")
    add_seed_option(parser)
    add_output_options(parser)


def _length(text: str) -> int | str:
    """Reads pixels, or a length with its unit."""
    return int(text) if text.isdecimal() else text


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Analyse every file, or all as one series."""
    from emcore.methods.symmetry.scores import SCORES

    refuse_unknown(parser, options, {"score": SCORES} | ({} if options.pool is None else {"pool": ("max",)}))
    if options.frames and options.frame is not None:
        parser.error("--frames follows all frames, --frame takes one: leave one out")
    settings = {
        "score": options.score,
        "n_regions": options.regions,
        "n_components": options.components,
        "window": options.window,
        "patch": options.patch,
        "stride": options.stride,
        "pool": options.pool,
        "dataset": options.dataset,
        "include_info_bar": options.include_info_bar,
        "random_state": options.seed,
    }
    prepare(options)
    failures: Failures = []
    if options.frames:
        _series(options, options.files[0].stem, options.files, settings, failures)
        return report_failures(failures)
    files, failures = expand(options.files, IMAGE)
    outputs = output_names(files)
    done = 0
    for file in files:
        with collected(file, failures):
            if options.frame is None and _is_series(file, options.dataset):
                _series(options, outputs[file], [file], settings, failures)
            else:
                work = lambda file=file: emcore.local_symmetry(file, frame=options.frame, **settings)  # noqa: E731
                one_result(options, outputs[file], files, work, tell, shown=file.name)
            done += 1
    if len(files) > 1 and not options.quiet:
        print(f"{done} of {len(files)} files done")
    return report_failures(failures)


def _is_series(file: Path, dataset: str | None) -> bool:
    """Whether what is meant of a file is a stack of frames."""
    from emcore.io.registry import read_all
    from emcore.scans.choosing import chosen
    from emcore.scans.frames import suits_series
    from emcore.scans.images import suits_image

    return suits_series(chosen(str(file), read_all(file, lazy=True), suits_image, dataset)) > 0


def _series(
    options: argparse.Namespace, name: str, files: list[Path], settings: dict[str, Any], failures: Failures
) -> None:
    """One series, whose table of areas is written beside."""
    frames = files[0] if len(files) == 1 else files

    def work(table: Path) -> "SymmetrySeries":
        result: SymmetrySeries = emcore.local_symmetry_series(frames, reference=options.reference, **settings)
        result.write_table(table, overwrite=options.force)
        return result

    with collected(files[0], failures):
        one_result(options, name, files, work, tell_series, shown=files[0].name, also=("_areas.csv",))


def tell(result: "SymmetryMap") -> Iterator[str]:
    """What was decided, and the regions."""
    from emcore.core.wording import count_of
    from emcore.reporting.pages.image import peak_cells, pixel_size
    from emcore.reporting.pages.symmetry import said_of_scores

    y, x = result.image.axes
    pixel = f", {pixel_size(result)} per pixel" if x.calibrated else ""
    yield f"{result.provenance.input_name}: {count_of(result.n_regions, 'region')}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    yield f"  image     {x.size} × {y.size} px{pixel}"
    yield f"  compared  {said_of_scores(result)}"
    yield f"  sizes     {result.sizes}"
    for index, (spacing, direction, second, turned, angle) in enumerate(peak_cells(result)):
        also = f"  second {second} at {turned}  angle {angle}" if angle != "–" else ""
        share = 100 * float(result.share[index])
        yield f"  region {index + 1:<3}{share:5.1f} %  spacing {spacing}  direction {direction}{also}"


def tell_series(result: "SymmetrySeries") -> Iterator[str]:
    """What was decided, and how much the regions cover at the ends."""
    from emcore.core.wording import count_of
    from emcore.reporting.pages.symmetry import said_of_scores

    y, x = result.image.axes
    frames = count_of(len(result.frame), "frame")
    yield f"{result.provenance.input_name}: {count_of(result.n_regions, 'region')} in {frames}"
    yield f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}"
    yield f"  image     {x.size} × {y.size} px"
    yield f"  compared  {said_of_scores(result)}"
    yield f"  sizes     {result.sizes}"
    for index in range(result.n_regions):
        first, last = (100 * float(result.share[i, index]) for i in (0, -1))
        yield f"  region {index + 1:<3}{first:5.1f} % in the first frame, {last:5.1f} % in the last"
