"""`emcore` in a terminal: one verb for each workflow, with the parameter names of the function it calls.

Exit codes: 0 all done; 1 at least one file failed, the others are done; 2 the command was wrong; 130 interrupted.
What a person can put right is told in a line; an error inside emcore shows where it happened. The other files go on.
"""

import argparse
import difflib
import io
import math
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import emcore
from emcore.control import MAX_THREADS

if TYPE_CHECKING:
    from emcore.workflows.image import ImageAnalysis

# What a folder is searched for; a file named on the command line may have any name.
IMAGE_SUFFIXES = (".tif", ".tiff", ".npy", ".ser", ".emd", ".dm3", ".dm4")
# What a user can put right; anything else is an error in emcore.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; a wrong command ends in SystemExit(2), as argparse has it.

    Examples
    --------
    >>> from emcore.cli import main
    >>> main(["info", "no-such-file.tif"])
    1
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show µ must not cost a result
    words = list(sys.argv[1:] if argv is None else argv)
    parser, verbs = _parsers()
    if words and not words[0].startswith("-") and words[0] not in verbs:
        parser.error(f"there is no verb {words[0]!r}{_nearest(words[0], verbs)}")
    options, unknown = parser.parse_known_args(words)
    verb = verbs.get(options.verb, parser)
    if unknown:
        known = verb._option_string_actions
        verb.error(f"there is no option {unknown[0]!r}{_nearest(unknown[0].split('=')[0], known)}")
    if verb is parser:
        parser.error(f"a verb is missing: {', '.join(verbs)}")
    try:
        return int(options.run(verb, options))
    except KeyboardInterrupt:
        # A terminal has just shown ^C.
        print("\n" * sys.stderr.isatty() + "emcore: interrupted, nothing half-written", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has closed it ("emcore info FILE | head"): no reason to complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nsee {self.prog} --help\n")


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else f", there are {', '.join(known)}"


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    parser = _Parser(prog="emcore", description=emcore.__doc__.strip().splitlines()[0] if emcore.__doc__ else "")
    parser.add_argument("--version", action="version", version=f"emcore {emcore.__version__}")
    adder = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    verbs: dict[str, _Parser] = {}

    def verb(name: str, run: Any, text: str) -> _Parser:
        verbs[name] = adder.add_parser(name, help=text, description=text, allow_abbrev=False)
        verbs[name].set_defaults(run=run)
        return verbs[name]

    image = verb("image", _image, "Find the regions of a micrograph that differ in local periodicity.")
    image.add_argument("files", nargs="+", metavar="FILE", type=Path, help="an image, or a folder of images")
    image.add_argument("--window", type=_count(8), default=128, help="side of the window in pixels (%(default)s)")
    image.add_argument("--step", type=_count(1), help="step of the window in pixels (a quarter of the window)")
    image.add_argument("--components", type=_components, default="auto", metavar="auto|K", help="how many (auto)")
    image.add_argument("--rule", help="rule that chooses how many (gap)")
    image.add_argument("--frame", type=_frame, metavar="I[,J]", help="which image of a stack, from 0 on (0)")
    image.add_argument("--include-info-bar", action="store_true", help="analyse the bar below the picture, too")
    info = verb("info", _info, "Say what is in a file.")
    info.add_argument("files", nargs="+", metavar="FILE", type=Path)
    demo = verb("demo", _demo, "Analyse a synthetic micrograph and say how well its regions were found.")
    for each in (image, demo):
        each.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="folder for results (this one)")
        each.add_argument("--force", action="store_true", help="replace existing results")
        each.add_argument("--threads", type=_count(1, MAX_THREADS), help="how many threads compute (all cores)")
        each.add_argument("--quiet", action="store_true", help="print errors only")
    return parser, verbs


def _count(least: int, most: float = math.inf) -> Any:
    def whole_number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            end = "on" if math.isinf(most) else f"to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} {end}")
        return int(text)

    return whole_number


def _components(text: str) -> int | str:
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number from 1 on")
    return int(text)


def _frame(text: str) -> int | tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no frame: give one number from 0 on for each axis of the stack")
    index = tuple(int(part) for part in parts)
    return index[0] if len(index) == 1 else index


def _image(parser: _Parser, options: argparse.Namespace) -> int:
    from emcore.io import read

    if options.rule is not None:
        from emcore.arrays import check_option
        from emcore.workflows.image import IMAGE_RULES

        if options.components != "auto":
            parser.error("--rule chooses the number of components, --components fixes it: leave one out")
        try:
            check_option(options.rule, IMAGE_RULES, "--rule")
        except ValueError as error:
            parser.error(str(error))
    _prepare(options)
    files, failures = _expand(options.files)
    outputs = output_names(files)
    done = 0
    for file in files:
        with _collected(file, failures):
            start = time.perf_counter()
            results = _results(options, outputs[file], files)
            with _progress_bar(file.name, options.quiet):
                result = emcore.analyze_image(
                    read(file),
                    window=options.window,
                    step=options.step,
                    n_components=options.components,
                    rule=options.rule,
                    frame=options.frame,
                    include_info_bar=options.include_info_bar,
                )
            _write(options, result, results, start)
            done += 1
    if len(files) > 1 and not options.quiet:
        print(f"{done} of {len(files)} files done")
    return _report_failures(failures)


def _info(_: _Parser, options: argparse.Namespace) -> int:
    from emcore.io import describe

    failures: list[tuple[Path, str]] = []
    for file in options.files:
        with _collected(file, failures):
            print(describe(file), flush=True)
    return _report_failures(failures)


def _demo(_: _Parser, options: argparse.Namespace) -> int:
    from emcore.datasets import adjusted_rand_index, far_from_borders, lattice_micrograph
    from emcore.io import as_signal

    _prepare(options)
    failures: list[tuple[Path, str]] = []
    with _collected(Path("demo"), failures):
        results = _results(options, "demo", [])
        sample = lattice_micrograph()
        start = time.perf_counter()
        with _progress_bar("demo", options.quiet):
            result = emcore.analyze_image(as_signal(sample.image, title="synthetic micrograph"))
        _write(options, result, results, start)
        if not options.quiet:
            inside = far_from_borders(sample.labels, result.provenance.parameters["window"])
            everywhere = adjusted_rand_index(sample.labels, result.regions)
            well_inside = adjusted_rand_index(sample.labels[inside], result.regions[inside])
            print(f"  truth     {len(sample.spacing)} regions, agreement (adjusted Rand index, at best 1)")
            print(f"            {everywhere:.3f} everywhere, {well_inside:.3f} more than a window from the borders")
    return _report_failures(failures)


def _prepare(options: argparse.Namespace) -> None:
    """What must be known to work before anything is computed."""
    from importlib.util import find_spec

    for module in ("matplotlib", "h5py"):
        if find_spec(module) is None:
            _stop(f"reports and results files need {module}: pip install emcore[cli]")
    if options.threads:
        emcore.set_num_threads(options.threads)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _stop(f"cannot make the folder {options.output}: {error.strerror}")


def _stop(message: str) -> NoReturn:
    print(f"emcore: {message}", file=sys.stderr)
    raise SystemExit(1)


def _expand(given: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files meant, each once, folders replaced by the images in them; and what holds none."""
    files: dict[Path, Path] = {}
    failures: list[tuple[Path, str]] = []
    for path in given:
        with _collected(path, failures):
            found = [path]
            if path.is_dir():
                found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
                if not found:
                    raise ValueError(f"no image in this folder: looked for {', '.join(IMAGE_SUFFIXES)}")
            for file in found:
                files.setdefault(file.resolve(), file)
    return list(files.values()), failures


def output_names(files: Sequence[Path]) -> dict[Path, str]:
    """A name for the results of every file: its stem, or as much more of its path as sets it apart from the others.

    Examples
    --------
    >>> from pathlib import Path
    >>> from emcore.cli import output_names
    >>> list(output_names([Path("a/gold.tif"), Path("a/iron.tif"), Path("a/iron.npy"), Path("b/iron.npy")]).values())
    ['gold', 'iron.tif', 'a_iron.npy', 'b_iron.npy']
    """
    names = {file: file.stem for file in files}
    for depth in range(1, 1 + max((len(file.resolve().parts) for file in files), default=0)):
        for file in _clashing(names):
            names[file] = "_".join(part.strip("/\\:") for part in file.resolve().parts[-depth:])
    for place, file in enumerate(_clashing(names), start=1):
        names[file] += f"_{place}"
    return names


def _clashing(names: dict[Path, str]) -> list[Path]:
    # Case is ignored: some file systems do.
    lower = [name.lower() for name in names.values()]
    return [file for file, name in names.items() if lower.count(name.lower()) > 1]


def _results(options: argparse.Namespace, name: str, inputs: Sequence[Path]) -> tuple[Path, Path]:
    """Where the results file and the report go; refuses, before the work, what could not be written."""
    from emcore.output import check_output

    results = options.output / f"{name}.h5", options.output / f"{name}.pdf"
    for path in results:
        if path.resolve() in {each.resolve() for each in inputs}:
            raise FileExistsError(f"its results would replace the input {path}: choose another folder with --output")
        check_output(path, options.force)
    return results


def _write(options: argparse.Namespace, result: "ImageAnalysis", results: tuple[Path, Path], start: float) -> None:
    result.save(results[0], overwrite=options.force)
    result.report(results[1], overwrite=options.force)
    if options.quiet:
        return
    from emcore.wording import column, count_of, direction

    record = result.provenance
    spacings = column(result.spacing, result.image.axes[1].units)
    print(f"{record.input_name}: {count_of(result.n_components, 'component')}")
    print(f"  why       {'' if result.rule == 'given' else f'rule {result.rule}: '}{result.reason}")
    print(f"  windows   {record.parameters['window']} px, step {record.parameters['step']} px")
    for index in range(result.n_components):
        print(
            f"  region {index + 1:<3}{100 * float(result.area[index]):5.1f} %  "
            f"spacing {spacings[index]}  "
            f"direction {direction(float(result.direction[index]))}"
        )
    for note in record.notes:
        print(f"  note      {note}")
    print(f"  time      {time.perf_counter() - start:.2f} s from file to report, {count_of(record.threads, 'thread')}")
    print(f"  written   {results[1]}, {results[0]}", flush=True)


@contextmanager
def _collected(file: Path, failures: list[tuple[Path, str]]) -> Iterator[None]:
    """One bad file does not stop the others; an error inside emcore is shown in full, then treated likewise."""
    try:
        yield
    except BrokenPipeError:
        raise
    except _USER_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) and error.filename else str(error)
        failures.append((file, reason or type(error).__name__))
    except Exception as error:
        traceback.print_exc()
        failures.append((file, f"internal error, please report it: {type(error).__name__}: {error}"))


def _report_failures(failures: list[tuple[Path, str]]) -> int:
    for file, message in failures:
        print(f"emcore: {message if str(file) in message else f'{file}: {message}'}", file=sys.stderr)
    return 1 if failures else 0


@contextmanager
def _progress_bar(name: str, quiet: bool) -> Iterator[None]:
    """A bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield
        return
    shown = "{desc} {percentage:3.0f}% |{bar}| {elapsed}"
    with tqdm(desc=name, total=1, leave=False, bar_format=shown) as bar:

        def update(done: int, total: int) -> None:
            bar.total = max(total, 1)
            bar.n = done
            bar.refresh()

        with emcore.progress(update):
            yield
