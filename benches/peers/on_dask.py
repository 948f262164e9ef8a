"""
What Dask costs: each method on two workers of one thread, beside two threads of one process, on the same file.

A cube of counts and a scan of diffraction patterns, 4 GiB each, are memory maps, pieces of which are the chunks; the
system has them in its cache. "speed" is the time in process over that on Dask, which must be 0.6 or more; what is found
is compared first. Of a small cube, 32 MiB, the time on Dask is divided by that of as many bare passes of Dask, which
look at each chunk and compute nothing (the sum of the first row). Written to ``bench-results/on_dask.json``.

    python benches/peers/on_dask.py [--gib 4] [--only REGEX] [--repeats 3] [--folder /tmp] [--keep]
"""

import argparse
import json
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import out_of_core
import scans_out_of_core
from harness import RESULTS, found_by

K, ITERATIONS, CHUNK = 8, 10, 128 << 20  # the size of chunks that Dask chooses by itself
CUBES = ("nmf", "kmeans", "pca", "unmix")
SCANS = ("diffraction", "grains")
SMALL = ("nmf", "kmeans", "pca")


def lazy(path: str) -> Any:
    """A Dask array of pieces of a memory map along its first axis."""
    import dask.array as da
    from dask import delayed

    data = np.load(path, mmap_mode="r")
    step = max(CHUNK // (data.nbytes // len(data)), 1) if data.nbytes > 4 * CHUNK else -(-len(data) // 4)
    read = delayed(piece, pure=False)
    parts = [
        da.from_delayed(read(path, a, a + step), (min(step, len(data) - a), *data.shape[1:]), data.dtype)
        for a in range(0, len(data), step)
    ]
    return da.concatenate(parts)


def piece(path: str, start: int, stop: int) -> np.ndarray:
    return np.load(path, mmap_mode="r")[start:stop]


def job(method: str, data: Any, memory: str | None) -> Callable[[], list[np.ndarray]]:
    import emcore
    from emcore.methods.nmf.fit import nmf
    from emcore.methods.pca.fit import pca

    given = {"memory": memory}

    def of_kmeans() -> list[np.ndarray]:
        model = emcore.KMeans(K, init="random", n_init=1, random_state=0, max_iter=ITERATIONS, tol=0, **given).fit(data)
        return [model.cluster_centers_]

    def of_unmixing() -> list[np.ndarray]:
        found = emcore.unmix(data.reshape(-1, 1024, data.shape[-1]), 5, **given)
        return [found.spectra, found.maps]

    jobs: dict[str, Callable[[], list[np.ndarray]]] = {
        "nmf": lambda: list(nmf(data, K, init="random", random_state=0, max_iter=ITERATIONS, tol=0, **given)[1:2]),
        "kmeans": of_kmeans,
        "pca": lambda: [pca(data, K, solver="randomized", **given).singular_values],
        "unmix": of_unmixing,
        "diffraction": lambda: [emcore.cluster_diffraction(data, **given).labels],
        "grains": lambda: [emcore.segment_grains(data, **given).labels],
    }
    return jobs[method]


def child(where: str, method: str, path: str, memory: str | None, repeats: int) -> None:
    """Times, in seconds, and passes of one method; the result goes to a file beside the data."""
    warnings.simplefilter("ignore")
    close: Callable[[], object] = lambda: None  # noqa: E731
    if where == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        client = Client(cluster)
        client.run(__import__, "emcore")
        close = lambda: (client.close(), cluster.close())  # noqa: E731
        data = lazy(path)
    else:
        data = np.load(path, mmap_mode="r")
        data.reshape(-1).view(np.uint8)[::4096].max()
    call = job(method, data, memory)
    times, bare = [], []
    for _ in range(repeats):
        before = time.perf_counter()
        found, passes = out_of_core.passes_counted(call)
        times.append(time.perf_counter() - before)
        if where == "dask":
            before = time.perf_counter()
            for _ in range(3):
                data.map_blocks(lambda block: block[:1].sum(keepdims=True), dtype="u8").sum().compute()
            bare.append((time.perf_counter() - before) / 3)
    np.savez(Path(path).with_suffix(f".{where}.npz"), *found)
    observed = {"seconds": statistics.median(times), "passes": passes}
    print("found", json.dumps(observed | ({"bare": statistics.median(bare)} if bare else {})), flush=True)
    close()


def compared(method: str, path: Path, memory: str | None, repeats: int) -> dict[str, Any]:
    """One process, Dask, and how far what they find differs."""
    process, dask = (found_by(__file__, [where, method, str(path), memory, repeats]) for where in ("process", "dask"))
    record = {"method": method, "MiB": path.stat().st_size >> 20, "process": process, "dask": dask}
    if "problem" in process or "problem" in dask:
        return record
    one, other = (np.load(path.with_suffix(f".{where}.npz")) for where in ("process", "dask"))
    record["difference"] = max(
        float(np.abs(one[name].astype(float) - other[name]).max() / np.abs(one[name]).max()) for name in one.files
    )
    record["speed"] = process["seconds"] / dask["seconds"]
    record["over bare passes"] = dask["seconds"] / (dask["bare"] * max(dask["passes"], 1))
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--keep", action="store_true", help="keep the data, or use what there is")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()  # those of the other scripts mean nothing here
    if options.child:
        return child(*json.loads(options.child))
    folder, records = Path(options.folder), []
    cube, small, scan = (folder / f"emcore-on-dask-{name}.npy" for name in ("cube", "small", "scan"))
    jobs = [(method, cube, "1 GiB") for method in CUBES] + [(method, scan, "1 GiB") for method in SCANS]
    # Less than half of a budget is loaded: of the small cube nothing is.
    jobs += [(method, small, "16 MiB") for method in SMALL]
    chosen = [each for each in jobs if re.search(options.only, f"{each[0]} {each[1].stem[15:]}")]
    try:
        for path in {path for _, path, _ in chosen}:
            if path.exists():
                continue
            if path == scan:
                scans_out_of_core.make(scan, int((options.gib * (1 << 30)) ** 0.5 / scans_out_of_core.DETECTOR))
            else:
                size = 1 / 32 if path == small else options.gib
                out_of_core.make(path, int(size * (1 << 30) / (2 * out_of_core.CHANNELS)))
        for each in chosen:
            records.append(compared(*each, options.repeats))
            print(json.dumps(records[-1]), flush=True)
    finally:
        for file in folder.glob("emcore-on-dask-*"):
            if not options.keep or file.suffix == ".npz":
                file.unlink()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "on_dask.json").write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
