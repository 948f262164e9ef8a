"""
What does not fit into memory: speed per byte, peak memory, and time to an equal objective beside other packages.

A cube of counts is made on disk and deleted afterwards. Every job is a process of its own, and one runs at a time; its
peak memory is the high-water mark less what it held when everything was imported. Written to
``bench-results/out_of_core.json``. With ``--only kill`` jobs with a checkpoint are killed in the middle of a pass,
midway, and started again, which must give the bits of one that was not.

    python benches/peers/out_of_core.py [--gib 16] [--only large|peers|dask|kill] [--folder /tmp] [--keep]
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from harness import RESULTS, _memory, found_by

CHANNELS, K, MIB = 1024, 8, 1 << 20
BASE = 1 << 16


def make(path: Path, rows: int) -> None:
    """Counts of mixtures of 5 spectra: the same rows again and again, in another order each time."""
    rng = np.random.default_rng(0)
    spectra = rng.dirichlet(np.full(CHANNELS, 0.3), 5)
    base = rng.poisson(rng.gamma(0.5, 1, (BASE, 5)) * 400 @ spectra).astype("u2")
    np.lib.format.open_memmap(path, "w+", "u2", (rows, CHANNELS)).flush()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - rows * CHANNELS * 2)
        for start in range(0, rows, BASE):
            file.write(base[rng.permutation(BASE)[: rows - start]].data)


def passes_counted(call: Callable[[], Any], told: bool = False) -> tuple[Any, int]:
    """What `call` gives, and how often emcore visited the data; if it is to be told, each pass is when it begins."""
    from emcore.outofcore.engine import Passes

    count, visit = 0, Passes.__call__

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if told:
            print("pass", flush=True)
        return visit(*args, **kwargs)

    Passes.__call__ = counted  # type: ignore[method-assign]
    return call(), count


def emcore_job(path: str, method: str, held: bool, iterations: int, memory: str) -> Callable[[], dict[str, Any]]:
    from emcore.methods.nmf.fit import nmf
    from emcore.methods.pca.fit import pca

    mapped = np.load(path, mmap_mode="r")
    data = np.array(mapped) if held else mapped
    options: dict[str, Any] = {} if held else {"memory": memory}

    def call() -> dict[str, Any]:
        if method == "pca":
            observed, passes = passes_counted(lambda: pca(data, K, solver="randomized", **options))
            return {"value": observed.singular_values.tolist(), "passes": passes}
        start = {"init": "random", "random_state": 0, "max_iter": iterations, "tol": 0}
        observed, passes = passes_counted(lambda: nmf(data, K, **start, **options))
        return {"value": observed.loss, "passes": passes}

    return call


def resumable_job(path: str, method: str, checkpoint: str, iterations: int) -> Callable[[], dict[str, Any]]:
    from emcore import unmix
    from emcore.methods.nmf.fit import nmf
    from emcore.methods.pca.fit import pca

    data, options = np.load(path, mmap_mode="r"), {"memory": "1.5 GiB", "checkpoint": checkpoint}

    def arrays() -> list[np.ndarray]:
        if method == "pca":
            components = pca(data, K, solver="randomized", **options)
            return [components.components, components.singular_values]
        if method == "nmf":
            return list(nmf(data, K, init="random", random_state=0, max_iter=iterations, tol=0, **options)[:2])
        phases = unmix(data.reshape(-1, 1024, CHANNELS), 5, **options)
        return [phases.maps, phases.spectra, phases.fraction, phases.residual_map, phases.residual_spectrum]

    def call() -> dict[str, Any]:
        observed, passes = passes_counted(arrays, told=True)
        whole = hashlib.sha256()
        for array in observed:
            whole.update(np.ascontiguousarray(array).data)
        return {"value": whole.hexdigest()[:16], "passes": passes}

    return call


def to_loss(path: str, wanted: float, memory: str) -> Callable[[], dict[str, Any]]:
    """emcore with as many iterations as reach a loss, found beforehand."""
    from emcore.methods.nmf.fit import nmf

    data = np.load(path, mmap_mode="r")
    start = {"init": "random", "random_state": 0, "tol": 0, "memory": memory}
    iterations = next(
        (m for m in (2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128) if nmf(data, K, max_iter=m, **start).loss <= wanted), 256
    )
    return lambda: {"value": nmf(data, K, max_iter=iterations, **start).loss, "iterations": iterations}


def minibatch(path: str) -> Callable[[], dict[str, Any]]:
    from sklearn.decomposition import MiniBatchNMF

    from emcore.methods.nmf.fit import nmf_loss, nmf_maps

    data = np.load(path, mmap_mode="r")
    model = MiniBatchNMF(K, batch_size=4096, init="nndsvda", random_state=0, max_iter=20)
    observed: dict[str, Any] = {}

    def call() -> dict[str, Any]:
        model.fit(data)
        return observed

    def loss() -> float:
        spectra = model.components_.astype("f8")
        return nmf_loss(data, nmf_maps(data, spectra, memory="256 MiB"), spectra, memory="256 MiB")

    call.after = loss  # type: ignore[attr-defined]
    return call


def hyperspy(path: str, algorithm: str) -> Callable[[], dict[str, Any]]:
    """HyperSpy's lazy decomposition, by an algorithm of its own or batch by batch with one of emcore's estimators."""
    import hyperspy.api as hs

    import emcore
    from emcore.methods.nmf.fit import nmf_loss, nmf_maps

    data = np.load(path, mmap_mode="r")
    hs.preferences.General.show_progressbar = False
    shape = (len(data) // 256, 256, CHANNELS)
    chunks = (16, 256, CHANNELS)
    import dask.array as da

    signal = hs.signals.Signal1D(da.from_array(data.reshape(shape), chunks=chunks)).as_lazy()
    signal.change_dtype("float32")

    name = algorithm.rpartition(".")[2]
    chosen = getattr(emcore, name)(K) if "." in algorithm else algorithm

    def call() -> dict[str, Any]:
        signal.decomposition(algorithm=chosen, output_dimension=K, print_info=False)
        return {}

    def loss() -> float | None:
        if name != "NMF":
            return None
        spectra = np.maximum(signal.learning_results.factors.T.astype("f8"), 0)
        return nmf_loss(data, nmf_maps(data, spectra, memory="256 MiB"), spectra, memory="256 MiB")

    call.after = loss  # type: ignore[attr-defined]
    return call


def dask_ml(path: str) -> Callable[[], dict[str, Any]]:
    import dask.array as da
    from dask_ml.decomposition import TruncatedSVD

    data = da.from_array(np.load(path, mmap_mode="r"), chunks=(4096, CHANNELS)).astype("float32")
    return lambda: {
        "value": TruncatedSVD(K, algorithm="randomized", random_state=0).fit(data).singular_values_.tolist()
    }


def libertem(path: str, passes: int) -> Callable[[], dict[str, Any]]:
    """Subspace iteration by a user-defined function of LiberTEM, which makes one pass, on its own two workers."""
    from libertem.api import Context
    from libertem.udf import UDF

    class Product(UDF):  # type: ignore[misc]
        """X^T X Q, not centred."""

        def get_result_buffers(self) -> dict[str, Any]:
            return {"product": self.buffer(kind="single", dtype="float64", extra_shape=self.params.q.shape)}

        def process_partition(self, partition: np.ndarray) -> None:
            rows = np.asarray(partition, dtype="f4").reshape(len(partition), -1)
            self.results.product[:] += rows.T @ (rows @ self.params.q)

        def merge(self, dest: Any, src: Any) -> None:
            dest.product[:] += src.product

    context = Context.make_with(cpus=2)
    data = context.load("npy", path=path, sig_dims=1)

    def call() -> dict[str, Any]:
        q = np.linalg.qr(np.random.default_rng(0).normal(size=(CHANNELS, 2 * K)))[0]
        for _ in range(passes):
            q, r = np.linalg.qr(context.run_udf(data, Product(q=q.astype("f4")))["product"].data)
        return {"value": np.sqrt(np.abs(np.linalg.eigvals(r)))[:K].tolist(), "passes": passes}

    call.close = context.close  # type: ignore[attr-defined]
    return call


def on_dask(path: str, workers: int, iterations: int) -> Callable[[], dict[str, Any]]:
    import dask.array as da
    from distributed import Client, LocalCluster

    from emcore.methods.nmf.fit import nmf

    cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    call_client = Client(cluster)
    shape = np.load(path, mmap_mode="r").shape
    rows = 1 << 15
    from dask import delayed

    read = delayed(lambda a: np.load(path, mmap_mode="r")[a : a + rows])
    parts = [da.from_delayed(read(a), (min(rows, shape[0] - a), shape[1]), "u2") for a in range(0, shape[0], rows)]
    data = da.concatenate(parts)

    def call() -> dict[str, Any]:
        return {"value": nmf(data, K, init="random", random_state=0, max_iter=iterations, tol=0).loss}

    call.close = lambda: (call_client.close(), cluster.close())  # type: ignore[attr-defined]
    return call


JOBS: dict[str, Callable[..., Callable[[], dict[str, Any]]]] = {
    "emcore": emcore_job,
    "resumable": resumable_job,
    "to_loss": to_loss,
    "minibatch": minibatch,
    "hyperspy": hyperspy,
    "dask_ml": dask_ml,
    "libertem": libertem,
    "dask": on_dask,
}


def child(kind: str, given: list[Any]) -> None:
    warnings.simplefilter("ignore")
    call = JOBS[kind](*given)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from what is held now
    held, before = _memory("VmRSS"), time.perf_counter()
    observed = call()
    observed |= {"seconds": time.perf_counter() - before, "peak MiB": (_memory("VmHWM") - held) / MIB}
    if hasattr(call, "after"):
        observed["value"] = call.after()
    if hasattr(call, "close"):
        call.close()
    print("found", json.dumps(observed), flush=True)


def run(kind: str, *given: Any) -> dict[str, Any]:
    observed = found_by(__file__, [kind, given])
    record = {"job": kind, "given": [g for g in given if not str(g).endswith((".npy", ".npz"))], **observed}
    print(json.dumps(record), flush=True)
    return record


def killed(path: str, method: str, folder: Path, iterations: int) -> list[dict[str, Any]]:
    """A job that is left alone, one that is killed midway, and what that does when it is started again."""
    files = [folder / f"emcore-out-of-core-{name}.npz" for name in ("whole", "killed")]
    try:
        whole = run("resumable", path, method, str(files[0]), iterations)
        last, begun, before = whole["passes"] // 2, 0, time.perf_counter()
        given = [path, method, str(files[1]), iterations]
        command = [sys.executable, __file__, "--child", json.dumps(["resumable", given])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
            while begun < last:
                begun += job.stdout.readline() == "pass\n"
            time.sleep(0.4 * whole["seconds"] / whole["passes"])
            job.kill()
        first = {"job": f"killed in pass {last}", "given": [method], "passes": last, "value": ""}
        first |= {"seconds": time.perf_counter() - before, "peak MiB": float("nan")}
        rest = run("resumable", *given)
        rest |= {"same bits": rest["value"] == whole["value"], "repeated": last + rest["passes"] - whole["passes"]}
        print(json.dumps([first, rest]), flush=True)
        return [whole, first, rest]
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=16)
    parser.add_argument("--only", default="large,peers,dask", help="some of these, or kill")
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--keep", action="store_true", help="keep the cubes, or use those there are")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()  # those of the other scripts mean nothing here
    if options.child:
        return child(*json.loads(options.child))
    folder, records = Path(options.folder), []
    cubes = {}
    for name, gib in (("large", options.gib), ("small", 1.0), ("peers", 0.25)):
        cubes[name] = folder / f"emcore-out-of-core-{name}.npy"
        wanted = {"large": ("large", "kill"), "small": ("large",)}.get(name, ("peers", "dask"))
        if not cubes[name].exists() and any(each in options.only for each in wanted):
            make(cubes[name], int(gib * (1 << 30) / (2 * CHANNELS)))
    large, small, peers = (str(cubes[name]) for name in ("large", "small", "peers"))
    try:
        if "large" in options.only:
            with open(large, "rb") as file:  # into the system's cache
                while file.read(64 * MIB):
                    pass
            for method in ("nmf", "pca"):
                records.append(run("emcore", small, method, True, 5, "1 GiB"))
                records.append(run("emcore", large, method, False, 5, "1 GiB"))
        if "peers" in options.only:
            for kind, given in (("minibatch", []), ("hyperspy", ["NMF"]), ("hyperspy", ["emcore.NMF"])):
                records.append(run(kind, peers, *given))
                if records[-1].get("value") is not None:
                    records.append(run("to_loss", peers, records[-1]["value"], "128 MiB"))
            records += [run("hyperspy", peers, algorithm) for algorithm in ("SVD", "PCA", "emcore.PCA")]
            records += [
                run("dask_ml", peers),
                run("libertem", peers, 7),
                run("emcore", peers, "pca", False, 0, "128 MiB"),
            ]
        if "kill" in options.only:
            records += [job for method in ("nmf", "pca", "unmix") for job in killed(large, method, folder, 10)]
        if "dask" in options.only:
            records += [run("dask", peers, workers, 10) for workers in (1, 2)]
    finally:
        if not options.keep:
            for cube in cubes.values():
                cube.unlink(missing_ok=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "out_of_core.json").write_text(json.dumps(records, indent=1) + "\n")
    lines = [
        "# out_of_core",
        "",
        "| job | given | seconds | peak MiB | passes | loss |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        if "problem" in record:
            lines.append(f"| {record['job']} | {record['given']} | {record['problem']} | | | |")
            continue
        loss = record["value"] if isinstance(record["value"], float) else ""
        cells = [f"{record['seconds']:.3g}", f"{record['peak MiB']:.0f}", record.get("passes", ""), loss]
        lines.append(f"| {record['job']} | {record['given']} | {' | '.join(map(str, cells))} |")
    (RESULTS / "out_of_core.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
