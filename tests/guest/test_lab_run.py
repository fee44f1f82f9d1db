"""Running commands from the host: what comes back, and what is said when a guest dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bpfprobe.lab import GuestFault, GuestTimeout, Lab

# What the host's side does is the same for every kernel.
pytestmark = [pytest.mark.on_host, pytest.mark.guest(kernels=["6.1"])]

ALL_BYTES = bytes(range(256)) * 4000


def shell(guest, script, **options):
    return guest.run(["sh", "-c", script], timeout_s=60, **options)


@pytest.mark.guest(kernels=["6.1", "newest"])
def test_kernel_is_the_one_that_the_list_says(lab):
    with lab.restore() as guest:
        assert shell(guest, "uname -r").stdout.decode().strip() == guest.kernel
    (row,) = (row for row in lab.overview() if row.wanted == lab.wanted)
    assert (row.release, row.built) == (guest.kernel, True)
    assert Lab(guest.kernel).wanted == lab.wanted
    assert Lab(".".join(guest.kernel.split(".")[:2])).wanted == lab.wanted


def test_status_and_streams_come_back_apart(lab):
    with lab.restore() as guest:
        result = shell(guest, "echo out; echo err >&2; exit 7")
        assert (result.status, result.stdout, result.stderr) == (7, b"out\n", b"err\n")
        assert result.console == b""
        assert shell(guest, "kill -9 $$").status == -9
        assert guest.run(["no-such-program"]).status == 127
        assert guest.run(["/etc/passwd"]).status == 126


def test_input_and_output_are_byte_exact(lab):
    with lab.restore() as guest:
        assert guest.run(["cat"], stdin=ALL_BYTES, timeout_s=60).stdout == ALL_BYTES
        assert shell(guest, "cat >&2", stdin=ALL_BYTES).stderr == ALL_BYTES
        assert guest.run(["head", "-c", "3"], stdin=ALL_BYTES, timeout_s=60).stdout == b"\0\1\2"


def test_the_environment_and_directory_of_the_caller(lab):
    with lab.restore() as guest:
        result = guest.run(["sh", "-c", "pwd; echo $WORD"], env={"WORD": "a b"}, cwd="/tmp")
        assert result.stdout == b"/tmp\na b\n"
        assert guest.run(["pwd"]).stdout.decode().strip() == str(Path.cwd())


def test_this_interpreter_and_checkout_are_inside(lab):
    code = "import bpfprobe, sys; print(bpfprobe.__file__, sys.executable)"
    with lab.restore() as guest:
        result = guest.run([sys.executable, "-c", code], timeout_s=60)
    import bpfprobe

    assert result.stdout.decode().split() == [bpfprobe.__file__, sys.executable]


def test_processes_left_in_the_background_do_not_hold_up_the_end(lab):
    with lab.restore() as guest:
        result = shell(guest, "sleep 100 & echo started")
        assert result.stdout == b"started\n"
        assert result.elapsed_s < 30


def test_copies_are_private_and_may_run_at_once(lab):
    found: list[bytes] = []

    def run_one() -> None:
        with lab.restore() as guest:
            script = (
                "test -e /etc/mark && echo seen; touch /etc/mark; sleep 1; head -c 8 /dev/urandom"
            )
            found.append(shell(guest, script).stdout)

    threads = [threading.Thread(target=run_one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, found)) == [8, 8, 8]
    assert len(set(found)) == 3


def test_a_kernel_crash_is_reported_with_the_console(lab):
    with lab.restore() as guest, pytest.raises(GuestFault) as caught:
        shell(guest, "echo before; echo c > /proc/sysrq-trigger; sleep 60")
    assert b"sysrq triggered crash" in caught.value.console
    assert "Kernel panic" in str(caught.value)


def test_a_kernel_warning_fails_a_command_that_ended_well(lab):
    with lab.restore() as guest, pytest.raises(GuestFault):
        shell(guest, "echo '<4>WARNING: CPU: 0 PID: 1 at made/up.c:1' > /dev/kmsg; sleep 1")


def test_time_out_ends_the_guest(lab):
    started = time.monotonic()
    with lab.restore() as guest, pytest.raises(GuestTimeout, match="did not end within 1 s"):
        guest.run(["sleep", "100"], timeout_s=1)
    assert time.monotonic() - started < 30


def test_no_emulator_is_left(lab):
    with lab.restore() as guest:
        pids = children()
        assert pids
        shell(guest, "true")
    assert not pids & children()


def children() -> set[str]:
    """What this thread started; others run guests of their own meanwhile."""
    thread = threading.get_native_id()
    return set(Path(f"/proc/self/task/{thread}/children").read_text().split())


def test_command_line_relays_bytes_and_status(lab, tmp_path):
    script = "import argparse, sys; from bpfprobe.cli import lab; p = argparse.ArgumentParser();"
    script += " lab.add_arguments(p); sys.exit(lab.run(p.parse_args()))"
    command = [sys.executable, "-c", script, "--kernel", lab.wanted.name, "-q", "--"]
    (tmp_path / "input").write_bytes(ALL_BYTES)
    with (tmp_path / "input").open("rb") as given:
        done = subprocess.run(
            [*command, "sh", "-c", "cat; echo end >&2; exit 9"],
            stdin=given,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr) == (9, ALL_BYTES, b"end\n")


def test_lab_takes_an_unknown_kernel_for_an_error():
    from bpfprobe.lab import LabUnavailable

    with pytest.raises(LabUnavailable, match=r"no kernel '4\.4'"):
        Lab("4.4").restore()
