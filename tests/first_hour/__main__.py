"""A user's first hour with the wheel that was built: ``make first-hour``.

The wheel and a few packages that no test needs else (Jupyter's kernel, pyxem) are installed in an environment of their
own, which has everything else from the environment that runs this. There a script (`user`) runs, and beside it the
demo, a notebook (`notebook`) and two verbs. Without a package index that is left out, and said.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(command: Sequence[str | Path], folder: Path | None = None) -> str:
    """What a command prints; where it fails, that is printed, and nothing goes on."""
    started = time.monotonic()
    ours = ("PYTHONPATH", "MPLBACKEND", "EMCORE_NUM_THREADS")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    said = " ".join(Path(part).name for part in command)
    if done.returncode:
        print(f"{done.stdout}{done.stderr}\n{said} ended with {done.returncode}", file=sys.stderr)
        raise SystemExit(1)
    print(f"{time.monotonic() - started:5.1f} s  {said}", flush=True)
    return done.stdout


def environment(folder: Path, wheel: Path) -> Path:
    """The Python of a new environment with the wheel, above the one that runs this; no index, no hour."""
    venv.create(folder, clear=True, symlinks=os.name != "nt")
    scheme = sysconfig.get_preferred_scheme("prefix")
    own = Path(sysconfig.get_path("purelib", scheme, vars={"base": str(folder), "platbase": str(folder)}))
    (own / "everything-else.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--retries", "1"]
    group = f"{ROOT / 'pyproject.toml'}:first-hour"
    done = subprocess.run([*pip, "install", "--quiet", "--group", group], capture_output=True, text=True)
    if done.returncode and "from versions: none" in done.stderr:
        last = done.stderr.strip().splitlines()[-1]
        print(f"first hour: skipped, for no package index is within reach ({last})")
        raise SystemExit(0)
    if done.returncode:
        raise SystemExit(done.stderr)
    run([*pip, "install", "--quiet", "--no-deps", "--force-reinstall", wheel])
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--folder", type=Path, default=ROOT / "target" / "first-hour")
    arguments = parser.parse_args()
    python = environment(arguments.folder / "environment", arguments.wheel.resolve())
    emcore = python.with_name("emcore")
    work = arguments.folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    for file in work.iterdir():
        if file.is_file():
            file.unlink()
    where = run([python, "-c", "import emcore; print(emcore.__file__)"], work)
    assert (arguments.folder / "environment").resolve() in Path(where).parents, where
    with ThreadPoolExecutor() as both:
        script = both.submit(run, [python, "-W", "ignore", HERE / "user.py", work], work)
        run([emcore, "demo", "--output", ".", "--force"], work)
        assert (work / "demo.pdf").stat().st_size > 10_000
        run([python, HERE / "notebook.py", work], work)
        assert (work / "exported" / "map.component.csv").is_file()
        assert "32 points" in run([emcore, "info", "map.npy"], work)
        run([emcore, "unmix", "map.npy", "--output", ".", "--force"], work)
        assert (work / "map.unmix.pdf").stat().st_size > 10_000
        print(script.result().strip())


if __name__ == "__main__":
    main()
