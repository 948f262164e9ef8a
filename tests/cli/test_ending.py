"""Ctrl-C and a request to end leave no file, whatever runs; files of one verb appear together."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import emcore
from emcore.core.control import deaf
from emcore.core.files import new_file, together, write_whole

# A verb that hears nothing for long, as in a decoder of another package: what is to end it is not its own.
DEAF = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    import emcore.cli.info
    from emcore.cli import main
    from emcore.core.files import new_file

    def run(parser, options):
        with new_file(Path(sys.argv[1], "a.h5")) as temporary:
            temporary.write_bytes(b"half")
            print("begun", flush=True)
            while True:
                try:
                    time.sleep(100)
                except KeyboardInterrupt:
                    pass

    emcore.cli.info.run = run
    sys.exit(main(["info", "x"]))
""")


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_does_not_hear_is_ended_with_nothing_half_written(number, code, tmp_path):
    words = [sys.executable, "-c", DEAF, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said == "emcore: interrupted, nothing half-written\n"
    assert list(tmp_path.iterdir()) == []


def test_files_written_together_appear_together_or_not_at_all(tmp_path):
    def write(*names):
        for name in names:
            with new_file(tmp_path / name) as temporary:
                write_whole(temporary, name.encode())

    def fail():
        with together():
            write("a", "b")
            assert not (tmp_path / "a").exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []
    with together():
        write("a", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    write("c")
    assert (tmp_path / "c").read_bytes() == b"c"


@pytest.mark.posix
def test_what_a_process_left_that_is_no_more_is_removed_and_what_others_write_is_not(tmp_path):
    code = "import sys; from pathlib import Path; from emcore.core.files import temporary_beside as t\n"
    code += (
        "for name in sys.argv[2:]: t(Path(sys.argv[1], name)).write_bytes(b'half')\nprint('begun', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "a", "b"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"begun\n"
        with new_file(tmp_path / "c") as temporary:
            temporary.write_bytes(b"whole")
        assert len(list(tmp_path.glob(".emcore-*"))) == 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with new_file(tmp_path / "d") as temporary:
        temporary.write_bytes(b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "d"]


def write_both(folder, text="new", **options):
    for name in ("a", "b"):
        with new_file(folder / name, **options) as temporary:
            temporary.write_text(text)


def test_what_another_has_made_meanwhile_stays_and_none_of_the_files_appears(tmp_path):
    def late():
        with together():
            write_both(tmp_path)
            (tmp_path / "b").mkdir()

    with pytest.raises(FileExistsError):
        late()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("former", ["old", None])
def test_where_one_file_is_refused_its_name_all_are_as_before(former, tmp_path, monkeypatch):
    for name in ("a", "b") if former else ():
        (tmp_path / name).write_text(former)
    replace = os.replace

    def refusing(temporary, path):
        if path == tmp_path / "b" and temporary.read_text() == "new":
            raise PermissionError(13, "open elsewhere")
        replace(temporary, path)

    def write():
        with together():
            write_both(tmp_path, overwrite=True)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refusing)
        with pytest.raises(PermissionError):
            write()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == ({"a": "old", "b": "old"} if former else {})


@pytest.mark.parametrize("at", range(1, 6))
def test_ctrl_c_while_files_appear_makes_all_appear_or_none(at, tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def interrupted(temporary, path):
        replace(temporary, path)
        calls.append(path)
        if len(calls) == at:
            raise KeyboardInterrupt

    def write():
        with together():
            write_both(tmp_path, overwrite=True)

    write_both(tmp_path, "old")
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write()
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    text = "old" if at == 1 else "new"  # the first is of the list of what is to appear
    assert texts == {"a": text, "b": text}


def test_a_file_that_is_gone_before_the_others_are_complete_is_an_error(tmp_path):
    def lose():
        with together(), new_file(tmp_path / "a"):
            pass  # nobody wrote it

    with pytest.raises(FileNotFoundError):
        lose()


# A verb amid what hears nothing at all, as compiled code of another package: the system ends it.
STONE_DEAF = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    import emcore.cli.info
    from emcore.cli import main
    from emcore.core.control import deaf
    from emcore.core.files import new_file

    def run(parser, options):
        if sys.argv[2] == "half":
            with new_file(Path(sys.argv[1], "a.h5")) as temporary:
                temporary.write_bytes(b"half")
                work()
        else:
            work()
        return 0

    def work():
        with deaf():
            print("begun", flush=True)
            time.sleep(600)

    emcore.cli.info.run = run
    sys.exit(main(["info", "x"]))
""")


@pytest.mark.posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_hears_nothing_at_all_is_ended_by_the_system(number, tmp_path):
    words = [sys.executable, "-c", STONE_DEAF, str(tmp_path), "nothing"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.wait(60) == -number


@pytest.mark.posix
def test_what_has_something_half_written_is_not_ended_by_the_system(tmp_path):
    words = [sys.executable, "-c", STONE_DEAF, str(tmp_path), "half"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(100) == 130
    assert list(tmp_path.iterdir()) == []


# A lock of Python's that is interrupted amid its release raises another error.
FAILING = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    import emcore.cli.info
    from emcore.cli import main
    from emcore.cli.files import collected

    class Deaf:
        def __del__(self):
            time.sleep(100)

    def run(parser, options):
        print("begun", flush=True)
        with collected(Path("x"), []):
            try:
                if sys.argv[1] == "lock":
                    time.sleep(100)
                Deaf()
                time.sleep(100)
            except KeyboardInterrupt:
                raise RuntimeError("release unlocked lock")
        return 1

    emcore.cli.info.run = run
    sys.exit(main(["info", "x"]))
""")


@pytest.mark.posix
@pytest.mark.parametrize("amid", ["lock", "what cannot raise"])
def test_an_interrupt_amid_what_fails_or_cannot_raise_is_told_as_any_other(amid):
    with subprocess.Popen([sys.executable, "-c", FAILING, amid], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "emcore: interrupted, nothing half-written\n")


def test_in_a_notebook_nothing_changes():
    with deaf():
        assert signal.getsignal(signal.SIGINT) is not signal.SIG_DFL


@pytest.mark.posix
@pytest.mark.parametrize(
    ("words", "shown"),
    [(["emcore"], False), (["-m", "emcore"], False), (["analysis.py"], True)],
    ids=["script", "module", "import"],
)
def test_ctrl_c_while_the_program_is_imported_shows_no_traceback_and_stays_python_s_in_another(words, shown, tmp_path):
    # What is imported first of what takes long.
    (tmp_path / "numpy.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n")
    for name in ("emcore", "analysis.py"):
        (tmp_path / name).write_text("from emcore.cli import program\nprogram()\n")
    where = os.pathsep.join([str(tmp_path), str(Path(emcore.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, *words, "info", "x"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": where},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGINT
    assert ("Traceback" in done.stderr) == shown
