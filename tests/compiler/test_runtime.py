"""The threads of compiled programs: idle, shared, forked, at exit."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.compiler.toys import toy
from thalweg.compiler.native import runtime
from thalweg.compiler.native.runtime import available_cores, get_num_threads, pool, set_num_threads
from thalweg.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent
XS = np.random.default_rng(5).standard_normal((40, 128)).astype(np.float32)


@pytest.fixture(autouse=True)
def same_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_wanted", None)
    monkeypatch.delenv("THALWEG_NUM_THREADS", raising=False)


def script(text: str, **environment: str) -> str:
    """What a Python program prints; it must end well, within a minute."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- how many --------------------------------------------------------------------------------------


def test_the_default_is_the_cores() -> None:
    assert get_num_threads() == available_cores() >= 1


def test_what_is_set_is_given_back() -> None:
    set_num_threads(3)
    assert get_num_threads() == 3


def test_the_environment_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_NUM_THREADS", "5")
    assert get_num_threads() == 5
    set_num_threads(2)
    assert get_num_threads() == 2


@pytest.mark.parametrize("count", [0, -1, 1025, 2.0, "2", True, None])
def test_no_other_number_is_taken(count: object) -> None:
    with pytest.raises(ConfigError, match="expected a whole number from 1 to 1024"):
        set_num_threads(count)  # type: ignore[arg-type]  # what is to be refused


@pytest.mark.parametrize("said", ["0", "two", "-1", "1.5"])
def test_the_environment_is_checked(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_NUM_THREADS", said)
    with pytest.raises(ConfigError, match="THALWEG_NUM_THREADS"):
        get_num_threads()


@pytest.mark.parametrize(
    ("said", "cores"), [("max 100000", None), ("150000 100000", 2), ("5000 100000", 1)]
)
def test_a_containers_quota(said: str, cores: int | None, tmp_path: Path) -> None:
    assert runtime._quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text(said + "\n")
    assert runtime._quota(tmp_path) == cores


@pytest.mark.parametrize(("said", "cores"), [("-1", None), ("250000", 3)])
def test_a_quota_of_the_first_kind(said: str, cores: int | None, tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(said)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert runtime._quota(tmp_path) == cores


# -- threads ---------------------------------------------------------------------------------------


def test_threads_stay_for_the_next_program() -> None:
    first, second = toy(), toy(size=32)
    first.run(XS[0], threads=3)
    workers = list(pool._workers)
    assert len(workers) >= 2
    second.run(np.ones(256, np.float32), threads=3)
    first.scan(XS, threads=2)
    assert pool._workers == workers


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clocks of threads")
def test_idle_threads_use_no_processor_time() -> None:
    program = toy()
    program.run(XS[0], threads=3)
    clocks = [time.pthread_getcpuclockid(w.ident) for w in pool._workers if w.ident]
    busy(0.05)  # until they sleep
    before = [time.clock_gettime(clock) for clock in clocks]
    busy(0.2)
    after = [time.clock_gettime(clock) for clock in clocks]
    assert len(clocks) >= 2
    assert max(b - a for a, b in zip(before, after, strict=True)) < 0.002
    program.run(XS[1], threads=3)
    assert max(time.clock_gettime(clock) for clock in clocks) > max(after)


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_python_threads_run_programs_at_once() -> None:
    programs = [toy() for _ in range(4)]
    results: dict[int, object] = {}

    def work(number: int) -> None:
        results[number] = [programs[number].scan(XS, threads=2) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    expected = [toy_result(5)] * 4
    for number in range(4):
        assert np.array_equal(np.array(results[number]), expected[number])


def toy_result(times: int) -> np.ndarray:
    program = toy()
    return np.array([program.scan(XS, threads=1) for _ in range(times)])


def test_python_threads_take_turns_with_one_program() -> None:
    program, total = toy(), []

    def work() -> None:
        total.append(len(program.scan(XS, threads=2)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    again = toy()
    for _ in range(4):
        again.scan(XS, threads=1)
    assert total == [40] * 4
    assert np.array_equal(program.walk, again.walk)


def test_a_program_runs_alone_while_the_threads_are_taken() -> None:
    program, again = toy(), toy()
    with pool.lock:
        got = program.scan(XS, threads=2)
    assert np.array_equal(got, again.scan(XS, threads=1))


def test_fewer_threads_where_the_system_gives_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    program, again, start = toy(), toy(), threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name == "thalweg-2":
            raise RuntimeError("can't start new thread")
        start(thread)

    with pool.lock:
        pool.dismiss()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", limited)
        got = program.scan(XS, threads=4)
        assert len(pool._workers) == 1
    assert np.array_equal(got, again.scan(XS, threads=4))
    assert len(pool._workers) == 3


# -- fork and exit ---------------------------------------------------------------------------------

FORK = """
    import os, threading
    import numpy as np
    from tests.compiler.toys import toy
    xs = np.random.default_rng(5).standard_normal((40, 128)).astype(np.float32)
    expected = toy().scan(xs, threads=1)
    program = toy()
    program.scan(xs, threads=3)
    assert threading.active_count() == 3
    program.walk[:] = 0
    child = os.fork()
    assert threading.active_count() == 1
    good = np.array_equal(program.scan(xs, threads=3), expected)
    assert threading.active_count() == 3
    if child == 0:
        os.environ["THALWEG_CODE_CACHE"] = "0"
        again = toy(blocks=5)  # compiles
        again.run(xs[0, :80].copy(), threads=2)
        os._exit(0 if good else 1)
    assert good and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    print("both")
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_fork_leaves_both_sides_running() -> None:
    assert script(FORK) == "both\n"


FORK_MEANWHILE = """
    import os, threading
    import numpy as np
    from tests.compiler.toys import toy
    xs = np.random.default_rng(5).standard_normal((2000, 128)).astype(np.float32)
    busy, program = toy(), toy()
    program.run(xs[0], threads=2)
    stop = threading.Event()
    def work():
        while not stop.is_set():
            busy.scan(xs, threads=2)
    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        child = os.fork()
        if child == 0:
            program.run(xs[0], threads=2)
            busy.run(xs[0], threads=2)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stop.set()
    thread.join()
    print("both")
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_fork_while_another_thread_runs_a_program() -> None:
    assert script(FORK_MEANWHILE) == "both\n"


def test_the_interpreter_ends_at_once() -> None:
    printed = script("""
        import atexit, time
        import numpy as np
        from tests.compiler.toys import toy
        atexit.register(lambda: print("seconds", time.perf_counter() - start))
        program = toy()
        program.run(np.ones(128, np.float32), threads=4)
        start = time.perf_counter()
    """)
    assert float(printed.split()[1]) < 1


def test_the_interpreter_ends_while_a_daemon_runs_a_program() -> None:
    printed = script("""
        import threading
        import numpy as np
        from tests.compiler.toys import toy
        program, xs = toy(), np.ones((1000, 128), np.float32)
        started = threading.Event()
        def work():
            while True:
                program.scan(xs, threads=2)
                started.set()
        threading.Thread(target=work, daemon=True).start()
        started.wait()
        print("end")
    """)
    assert printed == "end\n"


def test_the_environment_reaches_a_program() -> None:
    printed = script(
        """
        import threading
        import numpy as np
        from tests.compiler.toys import toy
        toy().run(np.ones(128, np.float32))
        print(threading.active_count())
        """,
        THALWEG_NUM_THREADS="4",
    )
    assert printed == "4\n"


def test_importing_the_compiler_loads_no_llvm() -> None:
    script("""
        import sys
        import thalweg.compiler, thalweg.compiler.native.program
        assert "llvmlite" not in sys.modules
    """)


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="no signals")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_scan(threads: int) -> None:
    """SIGINT from outside, while native code runs."""
    printed = script(f"""
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
        import numpy as np
        from tests.compiler.toys import toy
        program, x, out = toy(size=4096), np.ones(8 * 4096, np.float32), np.empty(1, np.float32)
        given = program.addresses(x, out)
        program.program.scan(10, given, [0, 0, 0], {threads})
        sender = "import os, signal, time; time.sleep(0.3); os.kill(" + str(os.getpid())
        sender += ", signal.SIGINT); print(time.monotonic())"
        other = subprocess.Popen([sys.executable, "-c", sender], stdout=subprocess.PIPE)
        try:
            program.program.scan(10**12, given, [0, 0, 0], {threads})
        except KeyboardInterrupt:
            end = time.monotonic()
        print(end - float(other.communicate()[0]), program.program.finished)
    """)
    late, finished = map(float, printed.split())
    assert late < 0.2
    assert finished > 0
