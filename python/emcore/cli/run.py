"""What verbs do alike: files in, one workflow for each, results out, one bad file not stopping the others."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module, util
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn

import emcore
from emcore.cli.files import Failures, collected, expand, output_names, report_failures, result_paths
from emcore.cli.progress import progress_bar
from emcore.core.extras import install
from emcore.core.files import check_output, together

if TYPE_CHECKING:
    from emcore.results.result import Result


def prepare(options: argparse.Namespace) -> None:
    """What must be known to work before anything is computed."""
    for module in ("matplotlib", "h5py"):
        if util.find_spec(module) is None:
            _stop(f"reports and results files need {module}: {install('cli')}")
    if options.threads:
        emcore.set_num_threads(options.threads)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _stop(f"cannot make the folder {options.output}: {error.strerror}")


def _stop(message: str, code: int = 1) -> NoReturn:
    print(f"emcore: {message}", file=sys.stderr)
    raise SystemExit(code)


def each_file(
    options: argparse.Namespace,
    content: str,
    work: "Callable[..., Result]",
    tell: Callable[[Any], Iterable[str]],
    also: Sequence[str] = (),
) -> int:
    """Report and results file for every file meant; returns the exit code.

    Parameters
    ----------
    options : Namespace
        With those of `add_files` and `add_output_options`.
    content : str
        What a folder is searched for, see `emcore.io.registry`.
    work : callable
        From a file to its result; what it is to write besides are further arguments.
    tell : callable
        The lines that say what was decided, each without its end.
    also : sequence of str
        Ends of the names of what `work` writes itself.
    """
    prepare(options)
    files, failures = expand(options.files, content)
    if getattr(options, "checkpoint", None) and len(files) > 1:
        _stop(f"--checkpoint is of one job; these are {len(files)} files: give one", 2)
    outputs = output_names(files)
    done = 0
    for file in files:
        with collected(file, failures):
            one_result(options, outputs[file], files, partial(work, file), tell, shown=file.name, also=also)
            done += 1
    if len(files) > 1 and not options.quiet:
        print(f"{done} of {len(files)} files done")
    return report_failures(failures)


def one_job(
    options: argparse.Namespace,
    name: str,
    inputs: Sequence[Path],
    work: "Callable[..., Result]",
    tell: Callable[[Any], Iterable[str]],
    also: Sequence[str] = (),
) -> int:
    """As `each_file`, for files that are one job together: its results are called `name`."""
    prepare(options)
    failures: Failures = []
    with collected(Path(" + ".join(path.name for path in inputs)), failures):
        one_result(options, name, inputs, work, tell, shown=inputs[0].name, also=also)
    return report_failures(failures)


def one_result(
    options: argparse.Namespace,
    name: str,
    inputs: Sequence[Path],
    work: "Callable[..., Result]",
    tell: Callable[[Any], Iterable[str]],
    shown: str = "",
    also: Sequence[str] = (),
) -> None:
    """One report and results file under `name`, of however many inputs; what cannot be written is refused first."""
    start = time.perf_counter()
    results, report, *others = result_paths(options, name, inputs, also)
    page = results.with_suffix(".html") if options.html else None
    if page is not None:
        check_output(page, options.force)
    # What draws the report takes a while to import, and the kernels leave Python to others meanwhile.
    Thread(target=import_module, args=("matplotlib.backends.backend_pdf",), daemon=True).start()
    with progress_bar(shown or name, options.quiet), together():
        result = work(*others)
        result.save(results, overwrite=options.force)
        result.report(report, overwrite=options.force)
        if page is not None:
            result.to_html(page, overwrite=options.force)
    files = [str(path) for path in (report, results, page) if path is not None]
    seconds = time.perf_counter() - start
    if options.json:
        print(_json(result, inputs, [*files, *(str(each) for each in others if each.exists())], seconds), flush=True)
    if options.quiet or options.json:
        return
    from emcore.core.wording import count_of

    for line in tell(result):
        print(line)
    record = result.provenance
    for note in record.notes:
        print(f"  note      {note}")
    print(f"  time      {seconds:.2f} s from file to report, {count_of(record.threads, 'thread')}")
    print(f"  written   {', '.join(files)}", flush=True)


def _json(result: Any, inputs: Sequence[Path], files: list[str], seconds: float) -> str:
    """What was decided and written, as one JSON object; what is no number is null."""
    import json

    from emcore.results.contents import contents, in_json

    inside, record = contents(result), result.provenance
    told = {"input": record.input_name, "files": [str(path) for path in inputs], "result": type(result).__name__}
    told |= {"method": record.method, "facts": {name: in_json(value) for name, value in inside.facts.items()}}
    tables = {of: {name: in_json(each) for name, each in columns.items()} for of, columns in inside.tables.items()}
    told |= {"tables": tables}
    told |= {"notes": list(record.notes), "written": files, "seconds": round(seconds, 3)}
    return json.dumps(told, allow_nan=False)
