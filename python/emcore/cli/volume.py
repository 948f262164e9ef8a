"""`emcore volume`: find the textures of a volume, and where each is oriented how."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import emcore
from emcore.cli.options import (
    add_checkpoint_option,
    add_dataset_option,
    add_files,
    add_memory_option,
    add_output_options,
    add_seed_option,
    auto_or_count,
    refuse_unknown,
    whole_number,
)
from emcore.cli.run import each_file
from emcore.io.registry import VOLUME

if TYPE_CHECKING:
    from emcore.results.volume_analysis import VolumeAnalysis

TEXT = "Find the textures of a volume, and where each is oriented how."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of `emcore.analyze_volume`."""
    add_files(parser, "a volume, a folder of slices, or a folder of volumes")
    parser.add_argument("--window", type=whole_number(8), default=50, metavar="N", help="side in voxels (50)")
    parser.add_argument("--step", type=whole_number(1), help="step of the window in voxels (half the window)")
    parser.add_argument("--method", default="hdbscan", metavar="HOW", help="hdbscan, mixture or kmeans (hdbscan)")
    parser.add_argument(
        "--clusters", type=auto_or_count, default="auto", metavar="auto|K", help="how many oriented classes (auto)"
    )
    parser.add_argument(
        "--components", type=whole_number(1), default=10, metavar="K", help="by which windows are told apart (10)"
    )
    parser.add_argument("--threshold", type=float, metavar="T", help="of the phase (Otsu's)")
    parser.add_argument("--phase", default="bright", metavar="SIDE", help="bright or dark (bright)")
    add_dataset_option(parser)
    parser.add_argument(
        "--labels", type=Path, metavar="DIR", help="folder for OME-Zarr stores of the labels, not held in memory then"
    )
    add_memory_option(parser)
    add_checkpoint_option(parser)
    add_seed_option(parser)
    add_output_options(parser)


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Analyse every volume."""
    from emcore.methods.volume.grouping import METHODS
    from emcore.methods.volume.threshold import PHASES

    refuse_unknown(parser, options, {"method": METHODS, "phase": PHASES})
    if options.clusters != "auto" and options.method == "hdbscan":
        parser.error("--clusters goes with --method mixture or kmeans: hdbscan finds the number")
    if options.labels is not None:
        options.labels.mkdir(parents=True, exist_ok=True)

    def work(file: Path) -> "VolumeAnalysis":
        result: VolumeAnalysis = emcore.analyze_volume(
            file,
            window=options.window,
            step=options.step,
            method=options.method,
            n_clusters=options.clusters,
            n_components=options.components,
            threshold=options.threshold,
            phase=options.phase,
            dataset=options.dataset,
            random_state=options.seed,
            labels=None if options.labels is None else options.labels / f"{file.stem}.ome.zarr",
            overwrite=options.force,
            memory=options.memory,
            checkpoint=options.checkpoint,
        )
        return result

    return each_file(options, VOLUME, work, tell)


def tell(result: "VolumeAnalysis") -> Iterator[str]:
    """What was decided, the textures and their classes."""
    from emcore.core.wording import count_of
    from emcore.reporting.pages.volume import class_cells, pair_cells, size_of

    record = result.provenance
    classes = f"{result.n_classes} oriented class{'es' * (result.n_classes != 1)}"
    yield f"{record.input_name}: {count_of(result.n_textures, 'texture')} in {classes}"
    yield f"  why       {result.reason}"
    yield f"            {result.texture_reason}"
    yield f"  volume    {size_of(result)}"
    nz, ny, nx = result.parts.shape[:3]
    yield f"  windows   {nx} × {ny} × {nz} of {record.parameters['window']} voxels"
    for texture in range(result.n_textures):
        yield f"  texture {texture + 1:<3}{100 * float(result.texture_share[texture]):5.1f} %"
        for index in range(result.n_classes):
            if result.texture_of[index] == texture:
                number, _, share, spacings, _ = class_cells(result, index)
                yield f"    class {number:<4}{share:>7}  spacings {spacings}"
    for first, second, angle, about, r in pair_cells(result):
        yield f"  class {first} is class {second} turned by {angle} about {about}, r {r}"
    if result.labels_path:
        yield f"  labels    {result.labels_path}"
