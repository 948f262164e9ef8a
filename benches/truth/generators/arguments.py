"""What every generator is asked for."""

import argparse
from pathlib import Path


def parsed(about: str | None) -> argparse.Namespace:
    """The seed, the folder, which is made, and which cases: those whose name holds `only`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args
