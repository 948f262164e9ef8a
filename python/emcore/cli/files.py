"""Which files are meant, what their results are called, and which of them failed."""

import argparse
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emcore.cli.ending import was_asked
from emcore.io.recognise import store_of
from emcore.io.registry import CURVES, IMAGE, SCAN, SPECTRA, VOLUME, read_all, slices_in, suffixes

Failures = list[tuple[Path, str]]
# What a user can put right; anything else is an error in emcore.
_USER_ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError)


def expand(paths: Sequence[Path], content: str) -> tuple[list[Path], Failures]:
    """The files meant, each once, folders replaced by the files in them that may hold `content`; and what holds none.

    A file named on the command line may have any name; `content` is one of those in `emcore.io.registry`.
    What an earlier run wrote into a folder is not meant: results, and stacks of grains and denoised scans beside them.
    """
    files: dict[Path, Path] = {}
    failures: Failures = []
    for path in paths:
        with collected(path, failures):
            here = [path]
            if path.is_dir() and not store_of(path) and not (content == VOLUME and _is_sliced(path)):
                here = sorted(p for p in path.iterdir() if _meant(p, content) and not _written(p))
                if not here:
                    raise ValueError(f"no {content} in this folder: looked for {', '.join(suffixes(content))}")
            for file in here:
                files.setdefault(file.resolve(), file)
    return list(files.values()), failures


def readable(path: Path) -> list[Path]:
    """The files and stores in a folder whose ending says that they can be read; what is no folder, as it is.

    Examples
    --------
    >>> from pathlib import Path
    >>> from emcore.cli.files import readable
    >>> readable(Path("no-such-file.tif"))
    [PosixPath('no-such-file.tif')]
    """
    if not path.is_dir() or store_of(path):
        return [path]
    contents = (IMAGE, SCAN, SPECTRA, CURVES, VOLUME)
    return sorted(each for each in path.iterdir() if any(_meant(each, content) for content in contents)) or [path]


def _is_sliced(path: Path) -> bool:
    """Whether a folder holds the slices of one volume, and no volumes."""
    files = slices_in(path)
    return bool(files) and len(read_all(files[0], lazy=True)[0].shape) == 2


def _meant(path: Path, content: str) -> bool:
    """Whether it is a file that may hold that, or a store that is a folder."""
    return path.suffix.lower() in suffixes(content) and (path.is_file() or bool(store_of(path)))


def _written(path: Path) -> bool:
    from emcore.results.nexus import is_result

    return any(is_result(path.with_name(f"{stem}.h5")) for stem in _own_stems(path))


def _own_stems(path: Path) -> Iterator[str]:
    """Of the result that it may be, or lie beside."""
    if path.suffix.lower() == ".h5":
        yield path.stem
    for end, verb in (("_grains", "grains"), ("_denoised", "denoise")):
        if path.stem.endswith(end):
            yield f"{path.stem.removesuffix(end)}.{verb}"


def output_names(files: Sequence[Path]) -> dict[Path, str]:
    """A name for the results of every file: its stem, or as much more of its path as sets it apart from the others.

    Examples
    --------
    >>> from pathlib import Path
    >>> from emcore.cli.files import output_names
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


def result_paths(
    options: argparse.Namespace, name: str, inputs: Sequence[Path], also: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Where the results file, the report and what `also` is written go; refuses, before the work, what cannot be."""
    from emcore.core.files import check_output

    # Two verbs of one file do not replace each other's results.
    own = name if options.verb == "demo" else f"{name}.{options.verb}"
    results = tuple(options.output / each for each in (f"{own}.h5", f"{own}.pdf", *(name + ending for ending in also)))
    for path in results:
        if path.resolve() in {each.resolve() for each in inputs}:
            raise FileExistsError(f"its results would replace the input {path}: choose another folder with --output")
        if not (options.force and store_of(path)):
            check_output(path, options.force)
    return results


@contextmanager
def collected(file: Path, failures: Failures) -> Iterator[None]:
    """One bad file does not stop the others; an error inside emcore is shown in full, then treated likewise."""
    try:
        yield
    except BrokenPipeError:
        raise
    except _USER_ERRORS as error:
        _raise_if_asked(error)
        reason = error.strerror if isinstance(error, OSError) and error.filename else str(error)
        failures.append((file, reason or type(error).__name__))
    except Exception as error:
        _raise_if_asked(error)
        traceback.print_exc()
        failures.append((file, f"internal error, please report it: {type(error).__name__}: {error}"))


def _raise_if_asked(error: Exception) -> None:
    if was_asked():
        raise KeyboardInterrupt from error


def report_failures(failures: Failures) -> int:
    """Say what failed, and give the exit code."""
    for file, message in failures:
        print(f"emcore: {message if str(file) in message else f'{file}: {message}'}", file=sys.stderr)
    return 1 if failures else 0
