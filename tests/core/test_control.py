"""Threads, progress and Ctrl-C hold for every call, because every call enters Rust through one door."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import emcore
from emcore import NMF, PCA, FuzzyCMeans, KMeans
from emcore.core.control import hearing
from emcore.core.validation import check_finite

LONG = np.broadcast_to(np.zeros((1, 4096), np.float32), (1 << 27, 4096))
"""One row that is visited 2^27 times: minutes of work in 16 kB."""

LONG_CODE = """
import os, sys, threading, time
import numpy as np
import emcore, emcore.core.control
from emcore.core.validation import check_finite
LONG = np.broadcast_to(np.zeros((1, 4096), np.float32), (1 << 27, 4096))
"""


def python(code: str, **variables: str) -> str:
    """What a fresh interpreter prints; its environment has no other thread variables than these."""
    env = {k: v for k, v in os.environ.items() if k not in ("EMCORE_NUM_THREADS", "RAYON_NUM_THREADS")} | variables
    command = [sys.executable, "-c", LONG_CODE + textwrap.dedent(code)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


THREADS = "print(emcore.get_num_threads())"
CORES = "print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count())"


def test_without_any_setting_the_available_cores_are_used():
    assert python(THREADS) == python(CORES)


def test_rayons_variable_goes_before_the_number_of_cores():
    assert python(THREADS, RAYON_NUM_THREADS="5") == "5"


def test_emcores_variable_goes_before_rayons():
    assert python(THREADS, EMCORE_NUM_THREADS="3", RAYON_NUM_THREADS="5") == "3"


def test_set_num_threads_goes_before_the_variables():
    assert python("emcore.set_num_threads(2)\n" + THREADS, EMCORE_NUM_THREADS="3", RAYON_NUM_THREADS="5") == "2"


def test_the_with_block_goes_before_set_num_threads_and_ends_with_the_block():
    code = """
    emcore.set_num_threads(2)
    with emcore.num_threads(4):
        print(emcore.get_num_threads())
        with emcore.num_threads(1):
            print(emcore.get_num_threads())
        print(emcore.get_num_threads())
    print(emcore.get_num_threads())
    """
    assert python(code, EMCORE_NUM_THREADS="3").split() == ["4", "1", "4", "2"]


@pytest.mark.parametrize("nonsense", ["", "0", "-1", "many"])
def test_a_variable_that_is_not_a_number_of_threads_is_passed_over(nonsense):
    assert python(THREADS, EMCORE_NUM_THREADS=nonsense, RAYON_NUM_THREADS="5") == "5"


def test_the_with_block_ends_when_an_exception_leaves_it():
    before = emcore.get_num_threads()
    with pytest.raises(RuntimeError), emcore.num_threads(before + 1):
        raise RuntimeError
    assert emcore.get_num_threads() == before


def test_the_with_block_of_one_python_thread_does_not_touch_another():
    before, inside = emcore.get_num_threads(), threading.Barrier(2, timeout=30)

    def other() -> list[int]:
        inside.wait()
        seen = [emcore.get_num_threads()]
        with emcore.num_threads(before + 2):
            seen.append(emcore.get_num_threads())
        inside.wait()
        return seen

    with ThreadPoolExecutor(1) as pool, emcore.num_threads(before + 1):
        seen = pool.submit(other)
        inside.wait()
        inside.wait()
        assert emcore.get_num_threads() == before + 1
        assert seen.result() == [before, before + 2]


@pytest.mark.parametrize("wrong", [0, -1, 1 << 20])
@pytest.mark.parametrize("call", [emcore.set_num_threads, lambda n: emcore.num_threads(n).__enter__()])
def test_a_number_of_threads_out_of_range_is_refused(call, wrong):
    with pytest.raises(ValueError, match=f"n={wrong} is out of range; it must be between 1 and"):
        call(wrong)


@pytest.mark.parametrize("wrong", [1.5, "2", None, True])
def test_a_number_of_threads_that_is_no_whole_number_is_refused(wrong):
    with pytest.raises(TypeError, match="a whole number is needed"):
        emcore.set_num_threads(wrong)


def test_four_python_threads_may_call_at_once():
    data = [np.full((5000, 700), i, np.float32) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            assert list(pool.map(lambda x: check_finite(x, "x"), data)) == [(i, i) for i in range(4)]


def test_four_python_threads_with_their_own_numbers_of_threads_may_call_at_once():
    data = np.arange(3_500_000, dtype=np.float32).reshape(5000, 700)

    def call(threads: int) -> tuple[float, float]:
        with emcore.num_threads(threads):
            return check_finite(data, "x")

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(call, [1, 2, 3, 4] * 10)) == {(0.0, 3_499_999.0)}


def test_many_python_threads_may_compute_different_things_at_once_and_find_what_each_finds_alone():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 99, (400, 30)).astype("u2")
    image = rng.random((80, 90), np.float32)
    fits = [
        lambda: KMeans(3, n_init=2, random_state=0).fit(rows).cluster_centers_,
        lambda: NMF(2, max_iter=10, tol=0, random_state=0).fit(rows).components_,
        lambda: PCA(3).fit(rows).components_,
        lambda: FuzzyCMeans(3, max_iter=5, tol=0, random_state=0).fit(rows).memberships_,
        lambda: emcore.windowed_power_spectra(image, 16),
        lambda: np.array(check_finite(image, "image")),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = [fit() for fit in fits]
        with ThreadPoolExecutor(len(fits)) as pool:
            for _ in range(5):
                together = list(pool.map(lambda fit: fit(), fits))
                assert all(map(np.array_equal, alone, together))


USED_POOL = """
    data = np.arange(3_500_000, dtype=np.float32).reshape(5000, 700)
    expected = check_finite(data, "x")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit does not count threads")
@pytest.mark.parametrize("most", [0, 12])
@pytest.mark.parametrize("threads", [1, 1024])
def test_where_the_system_refuses_threads_a_call_makes_do_with_those_there_are(most, threads):
    code = f"""
    import resource
    X = np.arange(3_000_000, dtype=np.float32).reshape(-1, 10)
    expected = check_finite(X, "x")
    if os.getuid() == 0:  # whom no limit binds
        os.setuid(54321)
    resource.setrlimit(resource.RLIMIT_NPROC, ({most}, {most}))
    emcore.set_num_threads({threads})
    print(check_finite(X, "x") == expected)
    ticks = []
    def callback(done, total):
        ticks.append(done)
        if len(ticks) == 3:
            raise ZeroDivisionError
    try:
        with emcore.progress(callback):
            check_finite(LONG, "x")
    except ZeroDivisionError:
        print(len(ticks) >= 3)
    """
    assert python(code, EMCORE_NUM_THREADS="2", OPENBLAS_NUM_THREADS="1").split() == ["True", "True"]


@pytest.mark.posix
def test_a_forked_child_computes_after_its_parent_has():
    code = """
    child = os.fork()
    if child == 0:
        os._exit(0 if check_finite(data, "x") == expected else 3)
    assert check_finite(data, "x") == expected
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert python(textwrap.dedent(USED_POOL) + textwrap.dedent(code)) == "0"


@pytest.mark.posix
def test_a_process_forked_while_another_thread_computes_computes():
    code = """
    busy = threading.Thread(target=check_finite, args=(LONG, "x"), daemon=True)
    busy.start()
    time.sleep(0.2)
    child = os.fork()
    if child == 0:
        os._exit(0 if check_finite(data, "x") == expected else 3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)
    """
    assert python(textwrap.dedent(USED_POOL) + textwrap.dedent(code)) == "0"


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_workers_of_a_forked_multiprocessing_pool_compute():
    code = """
    import multiprocessing
    def call(i):
        return check_finite(data + i, "x")[0]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(call, range(4)))
    """
    assert python(textwrap.dedent(USED_POOL) + textwrap.dedent(code)) == "[0.0, 1.0, 2.0, 3.0]"


class Enough(Exception):
    pass


def test_progress_is_told_and_an_exception_of_the_callback_ends_the_call():
    told = []

    def callback(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 3:
            raise Enough

    with emcore.progress(callback), pytest.raises(Enough):
        check_finite(LONG, "x")
    assert len(told) == 3
    done, total = zip(*told, strict=True)
    assert set(total) == {len(LONG)}
    assert sorted(done) == list(done)
    assert 0 < done[-1] < len(LONG)
    assert check_finite(np.eye(2), "x") == (0, 1)


def test_progress_ends_with_its_block_and_blocks_nest():
    outer, inner = [], []
    with emcore.progress(lambda *told: outer.append(told)):
        with emcore.progress(stop(inner)), pytest.raises(Enough):
            check_finite(LONG, "x")
        assert inner
        assert not outer
        with pytest.raises(Enough), emcore.progress(stop(outer)):
            check_finite(LONG, "x")
    assert outer


def stop(told):
    def callback(*now):
        told.append(now)
        raise Enough

    return callback


def test_progress_of_one_python_thread_is_not_told_for_the_calls_of_another():
    told = []
    with emcore.progress(stop(told)):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(check_finite, np.zeros((40_000, 4096), np.uint8), "x").result() == (0, 0)
        assert not told


def test_a_callback_may_itself_call_emcore():
    observed = []

    def callback(done, total):
        observed.append(check_finite(np.eye(3), "x"))
        if len(observed) == 2:
            raise Enough

    with emcore.progress(callback), pytest.raises(Enough):
        check_finite(LONG, "x")
    assert observed == [(0, 1), (0, 1)]


def test_a_slow_call_within_a_callback_does_not_call_it_again():
    depth = deepest = 0

    def callback(done, total):
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        if depth < 3:
            check_finite(LONG[: 1 << 20], "x")  # longer than from one report to the next
        depth -= 1
        raise Enough

    with emcore.progress(callback), pytest.raises(Enough):
        check_finite(LONG, "x")
    assert deepest == 1


@pytest.mark.posix
def test_ctrl_c_ends_a_call_and_the_next_one_works():
    code = """
    print("ready", flush=True)
    try:
        check_finite(LONG, "x")
    except KeyboardInterrupt:
        print("interrupted")
    print(check_finite(np.eye(2), "x"))
    """
    command = [sys.executable, "-c", LONG_CODE + textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)  # so that it is inside the call
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert out.split("\n")[:2] == ["interrupted", "(0.0, 1.0)"], err


def test_the_interpreter_is_free_while_a_call_computes():
    told = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(run_until, told)
        time.sleep(0.05)
        told.set()  # reached only when the other thread's call does not hold the interpreter
        with pytest.raises(Enough):
            call.result(timeout=30)


def run_until(event: threading.Event) -> None:
    def callback(done: int, total: int) -> None:
        if event.is_set():
            raise Enough

    with emcore.progress(callback):
        check_finite(LONG, "x")


def test_the_range_is_the_same_on_one_two_and_three_threads():
    data = np.random.default_rng(0).normal(size=(3000, 301))
    observed = set()
    for threads in (1, 2, 3):
        with emcore.num_threads(threads):
            observed.add(check_finite(data, "x"))
    assert observed == {(data.min(), data.max())}


def test_what_other_packages_compute_is_left_at_the_first_ctrl_c():
    ended, release = threading.Event(), threading.Event()

    def piece():
        try:
            release.wait(60)  # leaves the interpreter to others, as a filter does
            for _ in range(10**9):
                pass
        finally:
            ended.set()

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        hearing(piece)
    assert not ended.is_set()
    release.set()
    assert ended.wait(30)  # it does not go on


def test_errors_of_what_other_packages_compute_are_raised():
    with pytest.raises(ZeroDivisionError):
        hearing(lambda: 1 / 0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(hearing, threading.current_thread).result() is not threading.main_thread()
