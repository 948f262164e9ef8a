"""
Are the answers right on data that nobody here made?

Generators by third parties (generators/, run in an environment of their own, environment.txt) write cases whose truth
is known; every question (grains.py, ...) puts emcore at its default settings and plain peers to each. Seeds to develop
on are 1 to 9, of which defaults may be chosen; seeds from 11 on are only reported.

    make truth                                               everything, reporting seeds, table in docs/truth.md
    python benches/truth grains unmix --seeds 1 2            two questions on seeds to develop on, printed
"""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

from table import Row, markdown

# Question -> what its data are made by.
QUESTIONS = {
    "grains": "scans",
    "diffraction": "scans",
    "unmix": "spectra",
    "denoise": "few_counts",
    "correlate": "correlated",
    "images": "images",
    "stitch": "mosaics",
}
HERE = Path(__file__).parent
HEADER = """# Answers on other people's data, and those of plain peers

Written by `make truth`, from data of generators by third parties (diffsims, pyxem, espm, exSpy, ase, scikit-image),
seed {seeds}, at default settings. Index: adjusted Rand index with the true labels. Angle: mean spectral angle after
the best matching, in degrees; worst: of the worst phase; error: mean square of the maps, in units of a position's
mean counts. Spacing: largest relative error of a region's spacing; false: regions with a spacing where none is true.
A peer that is told is given the true number.
"""


def cases(kind: str, seed: int, folder: Path, python: str) -> list[Path]:
    """The files of one seed, made if they are not there."""
    place = folder / kind / str(seed)
    if not place.is_dir():
        partial = place.with_name(f"{seed}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        script = HERE / "generators" / f"{kind}.py"
        subprocess.run([python, str(script), "--seed", str(seed), "--out", str(partial)], check=True)
        partial.rename(place)
    return sorted(place.glob("*.npz"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", choices=[*QUESTIONS, []], help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[11])
    parser.add_argument("--only", help="cases whose name holds this")
    parser.add_argument("--data", type=Path, default=Path("bench-results/truth"), help="where the data are kept")
    parser.add_argument("--python", default=sys.executable, help="the Python that has the generators")
    parser.add_argument("--out", type=Path, help="write the tables here")
    args = parser.parse_args()
    pages = []
    for question in args.questions or QUESTIONS:
        module = importlib.import_module(question)
        rows: list[Row] = []
        for seed in args.seeds:
            for path in cases(QUESTIONS[question], seed, args.data, args.python):
                if args.only and args.only not in path.stem:
                    continue
                new = module.evaluate(path, f"{path.stem} {seed}")
                rows += new
                for row in new:
                    print(row, flush=True)
        pages.append(markdown(module.__doc__.strip().splitlines()[0], rows))
        print(pages[-1], flush=True)
    if args.out:
        seeds = ", ".join(map(str, args.seeds))
        args.out.write_text("\n".join([HEADER.format(seeds=seeds), *pages]))


if __name__ == "__main__":
    main()
