"""
Scans of diffraction patterns that do not fit into memory: time over reading alone, and peak memory, of every workflow.

A scan of grains is made on disk, as a memory map, gzip HDF5 or Zarr, and deleted afterwards; Dask reads the Zarr. With
--kinds generated nothing is on disk: Dask makes the patterns of each chunk when it is visited, every one of 64 that
were counted from its grain's, so that a scan may be larger than any disk. Every job is a process of its own, and one
runs at a time. Before every pass the system is made to forget the file, as it must where there is no room for it; with
--cached only before the first. Peak memory is the most that is held beside pages of files (RssAnon) less what was held
when everything was imported. Reading alone is one pass of the same source, read ahead and looked at but not computed
with: from the disk, or from the system's cache. `denoise` also writes as many bytes as the scan has. Written to
``bench-results/scans_out_of_core.json``.

    python benches/peers/scans_out_of_core.py [--gib 12] [--memory "1 GiB"] [--kinds map,hdf5,zarr,dask,generated]
        [--verbs phases,reflections,detector,denoise,diffraction,grains] [--folder /tmp] [--keep] [--cached]
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from harness import RESULTS, _memory, found_by

DETECTOR, GRAINS, MIB = 256, 12, 1 << 20
VERBS = ("phases", "reflections", "detector", "denoise", "diffraction", "grains")
KINDS = {"map": ".npy", "hdf5": ".h5", "zarr": ".zarr", "dask": ".zarr", "generated": ".patterns.npy"}
COUNTED, SIDE = 64, 16


def grains(path: Path, lines: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the grains of a square scan are, and their mean patterns; written beside it."""
    from emcore.datasets import bent_polycrystal
    from emcore.datasets.grains import voronoi_cells

    some = bent_polycrystal((16, 64), (DETECTOR, DETECTOR), n_grains=GRAINS, bend=0.0)
    means = np.stack([some.patterns.data[some.labels == grain].mean(axis=0) for grain in range(GRAINS)])
    labels = voronoi_cells((lines, lines), GRAINS, np.random.default_rng(0))
    np.save(path.with_suffix(".labels.npy"), labels)
    np.save(path.with_suffix(".means.npy"), means)
    return labels, means


def make(path: Path, lines: int) -> None:
    """A square scan of grains, each of one pattern, counted anew at every position."""
    labels, means = grains(path, lines)
    scan = np.lib.format.open_memmap(path, "w+", "u1", (lines, lines, DETECTOR, DETECTOR))

    def count(line: int) -> None:
        rng = np.random.default_rng([0, line])
        for pattern, grain in zip(scan[line], labels[line], strict=True):
            pattern[...] = np.minimum(rng.poisson(means[grain]), 255)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(count, range(lines)))
    scan.flush()


def few(path: Path, lines: int) -> None:
    """Patterns of each grain that were counted, from which a scan is made while it is read."""
    _, means = grains(path, lines)
    rng = np.random.default_rng(0)
    counted = [np.minimum(rng.poisson(mean, (COUNTED, *mean.shape)), 255).astype("u1") for mean in means]
    np.save(path.with_suffix(".patterns.npy"), np.stack(counted))


def generated(path: Path) -> Any:
    """A Dask array of SIDE x SIDE positions a chunk."""
    import dask.array as da

    counted = np.load(path, mmap_mode="r")
    labels = np.load(path.with_name(path.name.replace(".patterns.", ".labels.")))

    def patterns(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        rng = np.random.default_rng([start for start, _ in block_info[0]["array-location"]])
        return counted[block, rng.integers(COUNTED, size=block.shape)]

    where = da.from_array(labels, chunks=SIDE)
    chunks = (*where.chunks, (DETECTOR,), (DETECTOR,))
    return where.map_blocks(patterns, dtype="u1", chunks=chunks, new_axis=[2, 3], meta=np.empty((0,) * 4, "u1"))


def stored(path: Path) -> None:
    """The scan once more, in chunks of 4 x 4 patterns."""
    import h5py
    import zarr

    scan = np.load(path.with_suffix(".npy"), mmap_mode="r")
    chunks = (4, 4, *scan.shape[2:])
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            into = file.create_dataset("scan", scan.shape, "u1", chunks=chunks, compression="gzip", compression_opts=1)
            for line in range(0, len(scan), 4):
                into[line : line + 4] = scan[line : line + 4]
    else:
        array = zarr.create_array(path, shape=scan.shape, chunks=chunks, dtype="u1")
        for line in range(0, len(scan), 4):
            array[line : line + 4] = scan[line : line + 4]


def opened(kind: str, path: Path) -> Any:
    if kind == "map":
        return np.load(path, mmap_mode="r")
    if kind == "hdf5":
        import h5py

        return h5py.File(path)["scan"]
    if kind == "generated":
        return generated(path)
    import zarr

    array = zarr.open(path, mode="r")
    if kind == "zarr":
        return array
    import dask.array as da

    return da.from_zarr(array)


def forget(path: Path) -> None:
    """Out of the system's cache."""
    for file in [path] if path.is_file() else filter(Path.is_file, path.rglob("*")):
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


class Peak(threading.Thread):
    """The most that is held beside pages of files."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.held = self.most = _memory("RssAnon")
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.01):
            self.most = max(self.most, _memory("RssAnon"))


def reading(data: Any, memory: str) -> Callable[[], Any]:
    """One pass in which nothing is computed; of a map every page is touched."""
    from emcore.scans.patterns import pattern_source, scan_of_patterns

    source = pattern_source(scan_of_patterns(data, memory=memory), memory, 0).cut(memory, 0, 0)
    if source.lazy:
        from emcore.outofcore.engine import begin

        passes = begin(source, "reading", memory, None, {}, 0, 0)
        return lambda: passes(lambda rows, state, index: (int(rows.max()),), merge=max_of)
    from emcore.outofcore.reading import read_ahead

    return lambda: max(int(most) for _, _, most in read_ahead(source, source.blocks, lambda read: read[0].max()))


def max_of(a: tuple[int], b: tuple[int]) -> tuple[int]:
    return max(a, b)


def job(verb: str, data: Any, path: Path, memory: str) -> Callable[[], Any]:
    import emcore

    given = {"memory": memory}
    stem = path.name.split(".")[0]
    labels, means = (np.load(path.with_name(f"{stem}.{name}.npy")) for name in ("labels", "means"))
    if verb == "read":
        return reading(data, memory)
    if verb == "denoise":
        out = path.with_suffix(".out.h5")
        return lambda: emcore.denoise(data, out=out, dtype="native", overwrite=True, **given).residual_map
    of_scan: dict[str, Callable[[], Any]] = {
        "phases": lambda: emcore.phase_map(data, means, **given).labels,
        "reflections": lambda: emcore.cluster_reflections(data, **given).labels,
        "detector": lambda: emcore.best_detector(data, labels, "free", pair=(0, 1), **given).labels,
        "diffraction": lambda: emcore.cluster_diffraction(data, **given).labels,
        "grains": lambda: emcore.segment_grains(data, **given).labels,
    }
    return of_scan[verb]


def child(kind: str, path: str, verb: str, memory: str, cached: bool) -> None:
    warnings.simplefilter("ignore")
    from emcore.outofcore.engine import Passes

    data = opened(kind, Path(path))
    read, visit = 0, Passes.__call__

    def counted(passes: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal read
        part = passes.source.parts[0]
        of_part = (part.dtype, part.shape[-1]) if passes.source.lazy else (part.stored_dtype, part.d)
        if of_part[0] == data.dtype:  # not what was made of it and is in memory
            if read and not cached:
                forget(Path(path))
            places = [math.prod(each.stop - each.start for each in block.where) for block in passes.source.blocks]
            read += sum(places) * of_part[1]
        return visit(passes, *args, **kwargs)

    Passes.__call__ = counted  # type: ignore[method-assign]
    call = job(verb, data, Path(path), memory)
    peak = Peak()
    peak.start()
    before, used = time.perf_counter(), time.process_time()
    call()
    observed = {"seconds": time.perf_counter() - before, "processor": time.process_time() - used}
    observed["passes"] = read / data.size
    peak.ended.set()
    print("found", json.dumps(observed | {"peak MiB": (peak.most - peak.held) / MIB}), flush=True)


def run(kind: str, path: Path, verb: str, memory: str, cached: bool) -> dict[str, Any]:
    return {"kind": kind, "verb": verb, **found_by(__file__, [kind, str(path), verb, memory, cached])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=12)
    parser.add_argument("--memory", default="1 GiB")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--verbs", default=",".join(VERBS))
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--keep", action="store_true", help="keep the scans, or use those there are")
    parser.add_argument("--cached", action="store_true", help="leave the scan in the system's cache")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()  # those of the other scripts mean nothing here
    if options.child:
        return child(*json.loads(options.child))
    scan, records = Path(options.folder) / "emcore-scan.npy", []
    scan.parent.mkdir(parents=True, exist_ok=True)
    try:
        lines, kinds = math.isqrt(int(options.gib * (1 << 30) / DETECTOR**2)), options.kinds.split(",")
        if kinds != ["generated"] and not scan.exists():
            make(scan, lines)
        for kind in kinds:
            path = scan.with_suffix(KINDS[kind])
            if not path.exists():
                (few if kind == "generated" else stored)(*(scan, lines) if kind == "generated" else (path,))
            forget(path)
            first, second = (run(kind, path, "read", options.memory, True)["seconds"] for _ in range(2))
            again = second if options.cached else first
            for verb in options.verbs.split(","):
                forget(path)
                record = run(kind, path, verb, options.memory, options.cached)
                if "problem" not in record:
                    record["reading"] = first + max(record["passes"] - 1, 0) * again
                    record["over reading"] = record["seconds"] / record["reading"]
                records.append(record)
                print(json.dumps(record), flush=True)
                scan.with_suffix(".out.h5").unlink(missing_ok=True)
    finally:
        if not options.keep:
            for file in scan.parent.glob("emcore-scan.*"):
                subprocess.run(["rm", "-r", str(file)], check=False)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scans_out_of_core.json").write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
