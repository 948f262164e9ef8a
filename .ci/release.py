"""What must be true before a version is published, beside what `.ci/run` checks; RELEASING.md says when.

python3 .ci/release.py                                      names what is missing; the exit code is 1 then
python3 .ci/release.py --address https://HOST/OWNER/emcore  writes where the source lies into all files that name it
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

# By file: the line before, and what is written below it.
PLACES = {
    "Cargo.toml": ('license = "BSD-3-Clause"\n', 'repository = "{}"\n'),
    "pyproject.toml": ('dynamic = ["version"]\n', '\n[project.urls]\nRepository = "{}"\n'),
    "CITATION.cff": ("license: BSD-3-Clause\n", "repository-code: {}\n"),
    "mkdocs.yml": ('edit_uri: ""\n', "repo_url: {}\n"),
}


def main() -> int:
    """Check, after writing the address where one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="where the source lies")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="of the source (this)")
    options = parser.parse_args()
    if options.address:
        write_address(options.root, options.address)
    missing = list(lacking(options.root))
    print(*(missing or ["nothing is missing"]), sep="\n")
    return 1 if missing else 0


def write_address(root: Path, address: str) -> None:
    """Write the address into every file that is to name it."""
    if not re.fullmatch(r"https://[\w.-]+(/[\w.~-]+)+", address):
        sys.exit(f"{address!r} is no address of a repository: https://HOST/OWNER/emcore")
    if any(addresses(root).values()):
        sys.exit(f"there is an address already, change it there: {addresses(root)}")
    for name, (before, line) in PLACES.items():
        text = (root / name).read_text(encoding="utf-8")
        if text.count(before) != 1:
            sys.exit(f"{name} has no line {before.strip()!r}, below which the address stands")
        (root / name).write_text(text.replace(before, before + line.format(address)), encoding="utf-8")


def addresses(root: Path) -> dict[str, str]:
    """Where the source lies, by the file that says so; "" where it does not."""
    cargo, project = (tomllib.loads((root / name).read_text("utf-8")) for name in ("Cargo.toml", "pyproject.toml"))
    return {
        "Cargo.toml": cargo["package"].get("repository", ""),
        "pyproject.toml": project["project"].get("urls", {}).get("Repository", ""),
        "CITATION.cff": value(root / "CITATION.cff", "repository-code"),
        "mkdocs.yml": value(root / "mkdocs.yml", "repo_url"),
    }


def lacking(root: Path) -> Iterator[str]:
    """What is not as it must be."""
    named = addresses(root)
    without = [name for name, address in named.items() if not address]
    if without:
        yield f"{', '.join(without)} do not say where the source lies: give --address"
    elif len(set(named.values())) > 1:
        yield f"the source lies in different places: {named}"
    version = tomllib.loads((root / "Cargo.toml").read_text("utf-8"))["package"]["version"]
    if value(root / "CITATION.cff", "version") != version:
        yield f"CITATION.cff is not of version {version}"
    if not value(root / "CITATION.cff", "date-released"):
        yield "CITATION.cff has no line date-released: YYYY-MM-DD"
    changes = (root / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changes, re.MULTILINE):
        yield f"CHANGELOG.md has no heading ## {version} (YYYY-MM-DD)"
    if "## Unreleased" in changes:
        yield "CHANGELOG.md has changes that are of no version, under Unreleased"


def value(path: Path, key: str) -> str:
    """What stands behind a key on a line of its own."""
    observed = re.search(rf"^{key}:\s*(\S+)\s*$", path.read_text("utf-8"), re.MULTILINE)
    return observed[1] if observed else ""


if __name__ == "__main__":
    sys.exit(main())
