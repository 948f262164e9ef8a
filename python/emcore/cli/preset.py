"""Options that stand in a file: one table for each verb, in TOML, by the names that they have on the command line.

    [grains]
    min-correlation = 0.8
    no-mask-beam = true

Beside the data it is called emcore.toml; what is said on the command line goes before it.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

NAME = "emcore.toml"


def preset_words(options: argparse.Namespace, parser: argparse.ArgumentParser) -> list[str]:
    """The words that a preset adds to those of a verb; none where there is no preset. Which are taken is said."""
    path = _preset(options, parser)
    if path is None:
        return []
    words: list[str] = []
    for name, value in _table(path, options.verb, parser).items():
        if f"--{name}" not in parser._option_string_actions or name in ("help", "preset"):
            parser.error(f"{path}: [{options.verb}] has {name!r}, which is none of its options")
        option = parser._option_string_actions[f"--{name}"]
        if option.nargs == "+":
            # Word by word, so that none of the files is taken for one; only where the command line names none.
            each = value if isinstance(value, list) else [value]
            words += [] if getattr(options, option.dest) else [f"--{name}={one}" for one in each]
        elif isinstance(value, bool):
            words += [f"--{name}"] if value else []
        else:
            words += [f"--{name}", ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    if words and not getattr(options, "quiet", False):
        print(f"emcore: {path}: {' '.join(words)}", file=sys.stderr)
    return words


def _preset(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Path | None:
    """The file that is named, else that beside the first of the data."""
    if not hasattr(options, "preset"):
        return None
    if options.preset is not None:
        return Path(options.preset)
    files = next((action.dest for action in parser._actions if not action.option_strings), "")
    given = getattr(options, files, None)
    first = given[0] if isinstance(given, list) and given else given
    if not isinstance(first, Path):
        return None
    beside = (first if first.is_dir() else first.parent) / NAME
    return beside if beside.is_file() else None


def _table(path: Path, verb: str, parser: argparse.ArgumentParser) -> dict[str, Any]:
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(verb, {})
    except OSError as error:
        parser.error(f"{path}: {error.strerror}")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        parser.error(f"{path} is no TOML: {error}")
    if not isinstance(table, dict):
        parser.error(f"{path}: {verb} is no table of options: write [{verb}] on a line of its own")
    return table
