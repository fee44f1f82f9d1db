"""Ctrl-C and SIGTERM at any moment of start, run and close leave nothing in a kernel.

The commands run in forks of the test's process, which has imported bpfprobe: what Python does
before that is tested natively. ``BPFPROBE_SIGNALS=300`` sends 300 of each;
``BPFPROBE_SIGNALS_SEED`` chooses other moments.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest
from remains import sleeping_target, state, state_once_it_is

import bpfprobe as bp
from bpfprobe.cli.main import main
from tests.process_groups import no_process_of

TIMES = int(os.environ.get("BPFPROBE_SIGNALS", "5"))
KERNELS = ["5.10", "6.1", "newest"] if "BPFPROBE_SIGNALS" in os.environ else ["newest"]
SEED = int(os.environ.get("BPFPROBE_SIGNALS_SEED", "10"))
SIGNALS = [signal.SIGINT, signal.SIGTERM]

pytestmark = pytest.mark.guest(kernels=KERNELS, timeout_s=240 + 24 * TIMES, shares=True)
target = pytest.fixture(sleeping_target)


def probes(target):
    return [
        bp.kprobe("__x64_sys_getpgid", n="+112(%di):s32"),
        bp.kretprobe("__x64_sys_getsid", took="duration"),
        bp.tracepoint("syscalls:sys_enter_getppid"),
        bp.uretprobe("c", "getsid", pid=target, n="$arg1"),
    ]


def commands(target):
    trace, libc = ["trace", "-d", "0.2"], ["-p", str(target), "uretprobe:c:getsid n=$arg1"]
    kernel = ["kprobe:__x64_sys_getpgid comm", "kretprobe:__x64_sys_getsid took=duration kstack"]
    return [
        [*trace, *kernel],
        [*trace, *libc],
        [*trace, "--json", "tracepoint:syscalls:sys_enter_getppid", "syscall:setsid retval"],
        [*trace, "--command", "sleep 60", "kprobe:__x64_sys_getpgid"],
        ["doctor"],
    ]


def forked(work):
    """Start work in a process group of its own, and return its id."""
    sys.stdout.flush()
    pid = os.fork()
    os.setpgid(pid, pid)  # by both, so that it is so for both
    if pid:
        return pid
    status = 1
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = work()
    except KeyboardInterrupt:
        status = 130
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status or 0)


def command_in(folder, words):
    def work():
        out = os.open(f"{folder}/out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1), os.dup2(out, 2)
        tempfile.tempdir = os.environ["TMPDIR"] = f"{folder}/tmp"
        sys.argv = ["bpfprobe", *words]
        return main()

    return forked(work)


def ended(pid):
    """The exit status of a process that was sent a signal, as a shell says it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "still there after 60 s"


def test_a_command_that_is_ended(target, tmp_path):
    chance = random.Random(SEED)
    (tmp_path / "tmp").mkdir()
    before = state(target)
    asked = commands(target)
    took = []
    for words in asked:  # how long each lasts when it is let be
        started = time.monotonic()
        let_be = command_in(tmp_path, ["true" if word == "sleep 60" else word for word in words])
        assert ended(let_be) == 0, (tmp_path / "out").read_text()
        took.append(time.monotonic() - started)
    by_signal = 0
    for time_ in range(2 * TIMES):
        words, lasts = asked[time_ % len(asked)], took[time_ % len(asked)]
        number = SIGNALS[time_ % 2]
        running = command_in(tmp_path, words)
        time.sleep(lasts * chance.random())
        os.killpg(running, number)
        status = ended(running)
        assert status in (0, 128 + number), (words, (tmp_path / "out").read_text())
        by_signal += status != 0
        assert no_process_of(running), words
        assert list((tmp_path / "tmp").iterdir()) == []
    assert state_once_it_is(before, target) == before
    assert by_signal > 0
    assert "Traceback" not in (tmp_path / "out").read_text()


def test_a_program_that_goes_on(target, tmp_path):
    """It catches each signal and opens the next session: it has no descriptor more than before."""
    chance = random.Random(SEED)
    before = state(target)
    heard, said = os.pipe()

    def descriptors():
        links = list(Path("/proc/self/fd").iterdir())
        return sorted(str(link.readlink()).split(":")[0] for link in links if link.is_symlink())

    def once():
        with bp.Session(*probes(target)) as session:
            list(session.events(duration=0.01))

    def work():
        def raise_exit(number, frame):
            raise SystemExit(number)

        os.close(heard)
        signal.signal(signal.SIGTERM, raise_exit)
        once()
        held, caught, is_new = descriptors(), 0, True
        while caught < 2 * TIMES:
            try:
                while True:
                    if is_new:
                        is_new = False
                        os.write(said, b"!")
                    once()
            except (KeyboardInterrupt, SystemExit):
                caught, is_new = caught + 1, True
        assert descriptors() == held, (descriptors(), held)
        os.write(said, b".")
        return 0

    running = forked(work)
    os.close(said)
    for time_ in range(2 * TIMES):
        assert os.read(heard, 1) == b"!", "the program ended"
        time.sleep(0.02 + chance.random())
        os.kill(running, SIGNALS[time_ % 2])
    assert os.read(heard, 1) == b"."
    os.close(heard)
    assert ended(running) == 0
    assert state_once_it_is(before, target) == before
