import argparse
import inspect
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import emcore
import emcore.reporting.report
from emcore.cli import VERBS, main
from emcore.cli.files import output_names
from emcore.core.extras import install
from emcore.core.files import new_file
from emcore.core.progress_bar import never_falling
from emcore.datasets import adjusted_rand_index, bent_polycrystal, far_from_borders

# The emcore that is tested, whatever the working directory.
HERE = {**os.environ, "PYTHONPATH": str(Path(emcore.__file__).resolve().parents[1])}


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder of three images to be in, with the analysis replaced by a quick one that fails on "bad"."""
    for name in ("a", "b", "bad"):
        np.save(tmp_path / f"{name}.npy", np.zeros((64, 64), np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quick(monkeypatch, make_analysis):
    """The analysis is replaced: it notes its arguments and refuses a file called bad. The report is a word."""
    calls = []

    def analyze_image(image, **options):
        emcore.read(image)  # what is no file is told as it is
        calls.append((Path(image).name, options))
        if "bad" in Path(image).name:
            raise ValueError("image is constant")
        return make_analysis(k=2, name=Path(image).name)

    def write_report(result, path, overwrite):
        with new_file(path, overwrite) as temporary:
            temporary.write_text("report")

    monkeypatch.setattr(emcore, "analyze_image", analyze_image, raising=False)
    monkeypatch.setattr(emcore.reporting.report, "write_report", write_report)
    return calls


def made(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".npy")


def test_a_file_gives_a_report_and_a_results_file_and_says_what_was_decided(images, quick, capsys):
    assert main(["image", "a.npy"]) == 0
    assert made(images) == ["a.image.h5", "a.image.pdf"]
    said = capsys.readouterr().out
    assert "a.npy: 2 components" in said
    assert "rule gap: largest ratio" in said
    assert re.search(r"region 1 +50.0 %  spacing 0.4 nm  direction 0.0°", said)
    assert re.search(r"time .* 1 threads?", said)
    assert "a.image.pdf" in said


def test_options_reach_the_analysis(images, quick):
    words = "--window 64 --step 7 --components 5 --frame 1,2 --dataset stack --include-info-bar --quiet"
    assert main(["image", "a.npy", *words.split()]) == 0
    assert quick[0][1] == {
        "window": 64,
        "step": 7,
        "n_components": 5,
        "rule": None,
        "dataset": "stack",
        "frame": (1, 2),
        "include_info_bar": True,
        "memory": None,
        "checkpoint": None,
        "random_state": 0,
    }
    assert main(["image", "a.npy", "--window", "auto", "--quiet", "--force"]) == 0
    assert quick[1][1]["window"] == "auto"


def test_quiet_prints_nothing(images, quick, capfd):
    assert main(["image", "a.npy", "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_a_bad_file_is_told_at_the_end_and_the_others_are_done(images, quick, capsys):
    assert main(["image", "bad.npy", "a.npy", "nowhere.npy", "b.npy"]) == 1
    assert made(images) == ["a.image.h5", "a.image.pdf", "b.image.h5", "b.image.pdf"]
    said = capsys.readouterr()
    assert said.err.splitlines() == ["emcore: bad.npy: image is constant", "emcore: nowhere.npy does not exist"]
    assert "2 of 4 files done" in said.out


def test_an_error_inside_emcore_is_shown_and_does_not_stop_the_others(images, make_analysis, monkeypatch, capsys):
    def analyze_image(image, **options):
        if "bad" in Path(image).name:
            raise ZeroDivisionError("a bug")
        return make_analysis()

    monkeypatch.setattr(emcore, "analyze_image", analyze_image, raising=False)
    assert main(["image", "bad.npy", "a.npy", "--quiet"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "internal error, please report it: ZeroDivisionError: a bug" in said
    assert made(images) == ["a.image.h5", "a.image.pdf"]


def test_a_folder_stands_for_the_images_in_it(images, quick, capsys):
    (images / "notes.txt").write_text("no image")
    (images / "sub.npy").mkdir()
    (images / "empty").mkdir()
    assert main(["image", ".", "empty", "a.npy", "--output", "out"]) == 1
    assert [name for name, _ in quick] == ["a.npy", "b.npy", "bad.npy"]
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith("emcore: empty: no image in this folder")
    assert errors[1] == "emcore: bad.npy: image is constant"


@pytest.mark.parametrize("suffix", [".image.pdf", ".image.h5"])
def test_existing_results_are_kept_and_nothing_is_computed_without_force(images, quick, capsys, suffix):
    (images / f"a{suffix}").write_text("precious")
    assert main(["image", "a.npy"]) == 1
    assert quick == []
    assert made(images) == [f"a{suffix}"]
    assert "--force" in capsys.readouterr().err
    assert (images / f"a{suffix}").read_text() == "precious"
    assert main(["image", "a.npy", "--force"]) == 0
    assert made(images) == ["a.image.h5", "a.image.pdf"]


@pytest.mark.parametrize("name", ["c.h5", "image.h5"])
def test_an_input_is_never_replaced_by_its_results(images, quick, name):
    with h5py.File(images / name, "w") as file:
        file["image"] = np.eye(64)
    before = (images / name).read_bytes()
    assert main(["image", name, "--force"]) == 0
    assert (images / name).read_bytes() == before
    assert (images / name).with_suffix(".image.h5").exists()


def test_verbs_on_one_file_do_not_replace_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("scan.npy", bent_polycrystal((10, 12), (32, 32), n_grains=2).patterns.data)
    assert main(["diffraction", "scan.npy", "--clusters", "2", "--quiet"]) == 0
    assert main(["grains", "scan.npy", "--quiet"]) == 0
    assert made(tmp_path) == ["scan.diffraction.h5", "scan.diffraction.pdf", "scan.grains.h5", "scan.grains.pdf"]


def test_two_inputs_never_share_an_output(images, quick):
    (images / "sub").mkdir()
    np.save(images / "sub" / "a.npy", np.zeros((64, 64)))
    assert main(["image", "a.npy", "sub/a.npy", "b.npy", "--quiet", "--output", "out"]) == 0
    names = made(images / "out")
    assert len(names) == 6
    assert {"b.image.h5", "b.image.pdf", "sub_a.npy.image.h5", "sub_a.npy.image.pdf"} <= set(names)


def test_names_are_told_apart_also_where_case_does_not_count():
    names = output_names([Path("x/A.tif"), Path("y/a.tif"), Path("y/a.npy"), Path("c.tif")])
    assert names == {
        Path("x/A.tif"): "x_A.tif",
        Path("y/a.tif"): "y_a.tif",
        Path("y/a.npy"): "a.npy",
        Path("c.tif"): "c",
    }


def test_names_that_only_the_folders_tell_apart_differ_too():
    names = output_names([Path("/a_b/c.tif"), Path("/a/b_c.tif"), Path("/a/b/c.tif")])
    assert len(set(names.values())) == 3


def test_a_file_named_twice_is_done_once(images, quick):
    assert main(["image", "a.npy", str(images / "a.npy"), "--quiet"]) == 0
    assert len(quick) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("imge a.npy", "there is no verb 'imge', did you mean image?"),
        ("image a.npy --widow 64", "there is no option '--widow', did you mean --window?"),
        ("image a.npy --outptu=x", "there is no option '--outptu=x', did you mean --output?"),
        ("image a.npy --rule elbo", "did you mean 'elbow'?"),
        ("image a.npy --rule gavish-donoho", "Choose from 'gap', 'elbow'"),
        ("image a.npy --rule elbow --components 3", "leave one out"),
        ("image a.npy --window 7", "'7' is neither auto nor a whole number from 8 on"),
        ("image a.npy --components none", "'none' is neither auto nor a whole number"),
        ("image a.npy --frame -1", "frame"),
        ("image a.npy --threads 0", "'0' is not a whole number from 1 to 1024"),
        ("image a.npy --threads 9999", "'9999' is not a whole number from 1 to 1024"),
        ("image", "FILE"),
        ("", "a verb is missing: image, symmetry, unmix, diffraction, grains, curves"),
        ("--nonsense", "there is no option"),
    ],
)
def test_a_wrong_command_ends_with_2_and_says_what_is_meant(images, quick, capsys, words, said):
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""
    assert quick == []
    assert made(images) == []


def test_an_output_folder_that_cannot_be_made_is_named(images, quick, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["image", "b.npy", "--output", "a.npy/out"])
    assert stop.value.code == 1
    assert "cannot make the folder a.npy/out" in capsys.readouterr().err
    assert quick == []


def test_a_missing_extra_is_named_before_anything_is_computed(images, quick, monkeypatch, capsys):
    from importlib import util

    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "h5py" else find_spec(name))
    with pytest.raises(SystemExit):
        main(["image", "a.npy"])
    assert install("cli") in capsys.readouterr().err
    assert quick == []


def test_info_tells_what_is_in_each_file(images, capsys):
    assert main(["info", "a.npy", "nowhere.npy", "b.npy"]) == 1
    said = capsys.readouterr()
    assert said.out.count("(64, 64) uint8") == 2
    assert said.err == "emcore: nowhere.npy does not exist\n"


def test_a_terminal_that_cannot_show_a_letter_does_not_cost_a_result(images, quick, monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["image", "a.npy"]) == 0
    output.flush()
    assert b"direction 0.0?" in output.buffer.getvalue()


def test_a_folder_that_cannot_be_listed_does_not_stop_the_others(images, quick, monkeypatch, capsys):
    (images / "closed").mkdir()

    def iterdir(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert main(["image", "closed", "a.npy", "--quiet"]) == 1
    assert capsys.readouterr().err == "emcore: closed: Permission denied\n"
    assert len(quick) == 1


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"emcore {emcore.__version__}\n"


def test_starting_up_imports_nothing_heavy():
    heavy = ("matplotlib", "sklearn", "scipy", "h5py", "rsciio", "tqdm")
    code = f"import sys, emcore.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_a_closed_pipe_is_no_error(images):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "emcore", "info", "a.npy"], stdout=write, stderr=subprocess.PIPE, env=HERE
    )
    os.close(write)
    assert done.stderr == b""


SLOW = """
import sys, time
import emcore
import emcore.reporting.report
from emcore.cli import main

def analyze_image(image, **options):
    print("started", flush=True)
    for done in range(100):
        report(done, 100)
        time.sleep(0.1)

def progress(callback):
    global report
    from contextlib import nullcontext
    report = callback if callable(callback) else lambda done, total: None  # a bool says whether there are bars
    return nullcontext()

report = lambda done, total: None
emcore.analyze_image, emcore.progress = analyze_image, progress
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.posix
def test_an_interrupt_ends_with_130_one_line_and_no_files(images):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "image", "a.npy", "b.npy"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=HERE,
    )
    assert process.stdout.readline() == b"started\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == b"emcore: interrupted, nothing half-written\n"
    assert made(images) == []


@pytest.mark.posix
def test_progress_is_shown_on_a_terminal_and_only_there(images):
    pty = pytest.importorskip("pty")
    main_end, other_end = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-c", SLOW, "image", "a.npy"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=other_end, env=HERE)
    os.close(other_end)
    shown, end = b"", time.monotonic() + 30
    while b"3%" not in shown and time.monotonic() < end:
        shown += os.read(main_end, 1000)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    os.close(main_end)
    assert "a.npy   3% |" in shown.decode()
    elsewhere = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=HERE)
    elsewhere.stdout.readline()
    elsewhere.send_signal(signal.SIGINT)
    assert b"%" not in elsewhere.communicate(timeout=30)[1]


def test_the_part_shown_as_done_never_falls_and_never_stands_still_from_the_first_call_on():
    part = never_falling()
    rng = np.random.default_rng(0)
    shown = []
    for call in range(4):
        done = total = 0
        for _ in range(30):
            total += int(rng.integers(0, 50))
            done = min(done + int(rng.integers(0, 40)), total)
            shown.append(part(done, total))
        shown.append(part(total, total))
        assert shown[-1] == pytest.approx(1 - 0.5 ** (call + 1))
    assert all(a <= b for a, b in itertools.pairwise(shown))


def test_agreement_is_1_up_to_names_and_0_by_chance():
    truth = np.repeat([0, 1, 2], 1000)
    assert adjusted_rand_index(truth, (truth + 1) % 3) == 1
    rng = np.random.default_rng(0)
    assert abs(adjusted_rand_index(truth, rng.permutation(truth))) < 0.01
    assert adjusted_rand_index(truth, np.zeros_like(truth)) == 0


def test_agreement_equals_that_of_scikit_learn():
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(1)
    truth, observed = rng.integers(0, 4, 500), rng.integers(-1, 3, 500)
    observed[:300] = truth[:300]
    assert adjusted_rand_index(truth, observed) == pytest.approx(adjusted_rand_score(truth, observed), abs=1e-12)


def test_far_from_borders_is_what_a_search_of_the_neighbourhood_finds():
    labels = np.zeros((30, 40), int)
    labels[5:14, 7:20] = 1
    labels[20:, 30:] = 2
    border = np.zeros(labels.shape, bool)
    for r, c in np.ndindex(labels.shape):
        around = labels[max(r - 1, 0) : r + 2, c].tolist() + labels[r, max(c - 1, 0) : c + 2].tolist()
        border[r, c] = len(set(around)) > 1
    for margin in (1, 4):
        near = [
            [border[max(r - margin, 0) : r + margin + 1, max(c - margin, 0) : c + margin + 1].any() for c in range(40)]
            for r in range(30)
        ]
        np.testing.assert_array_equal(far_from_borders(labels, margin), ~np.array(near))


def test_the_demo_says_how_well_the_known_regions_were_found(tmp_path, monkeypatch, capsys):
    import emcore.datasets

    make = emcore.datasets.lattice_micrograph
    monkeypatch.setattr(emcore.datasets, "lattice_micrograph", lambda: make((600, 700), (7, 12), (20, 110)))
    assert main(["demo", "--output", str(tmp_path / "new" / "folder")]) == 0
    assert made(tmp_path / "new" / "folder") == ["demo.h5", "demo.pdf"]
    said = capsys.readouterr().out
    assert "synthetic micrograph: 2 components" in said
    everywhere, inside = map(float, re.findall(r"(\S+) everywhere, (\S+) more than a window", said)[0])
    assert 0.9 < everywhere < inside <= 1


def test_a_real_image_and_a_truncated_one(data_folder, tmp_path, capsys):
    whole = data_folder / "zeiss_sem.tif"
    (tmp_path / "cut.tif").write_bytes(whole.read_bytes()[:300_000])
    assert main(["image", str(tmp_path / "cut.tif"), str(whole), "--output", str(tmp_path)]) == 1
    assert made(tmp_path) == ["cut.tif", "zeiss_sem.image.h5", "zeiss_sem.image.pdf"]
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert "cut.tif" in said.err
    assert "truncated or damaged" in said.err
    assert "zeiss_sem.tif: 3 components" in said.out
    assert emcore.load_result(tmp_path / "zeiss_sem.image.h5").n_components == 3


# Of a series profiles are made in memory before they are grouped.
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "series"])
def test_a_verb_takes_the_memory_and_the_checkpoint_that_its_functions_take(verb):
    parser = argparse.ArgumentParser()
    VERBS[verb].add_options(parser)
    functions = re.findall(r"`emcore\.(\w+)`", VERBS[verb].add_options.__doc__)
    taken = {name for function in functions for name in inspect.signature(getattr(emcore, function)).parameters}
    for name in ("memory", "checkpoint"):
        assert name not in taken or f"--{name}" in parser._option_string_actions, name


def test_a_result_is_told_as_json_and_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("scan.npy", bent_polycrystal((10, 12), (32, 32), n_grains=2).patterns.data)
    assert main(["grains", "scan.npy", "--json", "--html"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    result = emcore.load_result("scan.grains.h5")
    assert told["facts"]["n_grains"] == result.n_grains == len(told["tables"]["grain"]["positions"])
    assert told["written"] == ["scan.grains.pdf", "scan.grains.h5", "scan.grains.html"]
    assert said.err == ""


def test_the_seed_is_that_of_the_function(images, quick):
    assert main(["image", "a.npy", "--seed", "7", "--quiet"]) == 0
    assert quick[0][1]["random_state"] == 7


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_the_seed_that_its_functions_take(verb):
    parser = argparse.ArgumentParser()
    VERBS[verb].add_options(parser)
    functions = re.findall(r"`emcore\.(\w+)`", VERBS[verb].add_options.__doc__)
    taken = {name for function in functions for name in inspect.signature(getattr(emcore, function)).parameters}
    assert ("random_state" in taken) == ("--seed" in parser._option_string_actions)


def test_help_and_version_have_their_short_forms(capsys):
    for words in (["help", "grains"], ["grains", "--help"], ["help"], ["-V"]):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.count("usage: emcore grains") == 2
    assert f"emcore {emcore.__version__}" in said


def test_options_stand_in_a_file_beside_the_data_and_the_command_goes_before_them(images, quick, capsys):
    (images / "emcore.toml").write_text("[image]\nwindow = 64\nquiet = true\n[grains]\nsegments = 3\n")
    assert main(["image", "a.npy"]) == 0
    assert main(["image", "b.npy", "--window", "32"]) == 0
    assert [options["window"] for _, options in quick] == [64, 32]
    said = capsys.readouterr()
    assert said.out == ""
    assert "emcore.toml: --window 64 --quiet" in said.err
    (images / "other.toml").write_text("[image]\nwindow = 16\n")
    assert main(["image", "b.npy", "--force", "--preset", "other.toml"]) == 0
    assert quick[-1][1]["window"] == 16


def test_a_preset_lies_beside_whatever_the_verb_calls_its_first_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emcore.toml").write_text("[correlate]\nclusters = 3\n[particles]\nmin-size = 9\n")
    for words in (["correlate", "no.npy", "nothing.npy"], ["particles", "no.npy"]):
        assert main(words) == 1
        assert "emcore.toml: --" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[image]\nwinow = 3\n", "has 'winow', which is none of its options"),
        ("[image\n", "is no TOML"),
        ("image = 3\n", "image is no table of options"),
        ("[image]\nwindow = -4\n", "--window"),
    ],
)
def test_what_a_preset_cannot_say_is_refused(images, quick, capsys, text, said):
    (images / "emcore.toml").write_text(text)
    with pytest.raises(SystemExit) as end:
        main(["image", "a.npy"])
    assert end.value.code == 2
    assert said in capsys.readouterr().err
    assert quick == []


def test_what_is_in_a_folder_is_said_file_by_file(images, capsys):
    (images / "notes.txt").write_text("nothing to read")
    assert main(["info", "."]) == 0
    said = capsys.readouterr().out
    assert all(f"{name}.npy" in said for name in ("a", "b", "bad"))
