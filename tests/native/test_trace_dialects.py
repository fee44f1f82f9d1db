"""``bpfprobe trace`` typed as trace(8), kprobe(8) and uprobe(8) are."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.native.programs import Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_uprobes

TRACE = [sys.executable, "-m", "bpfprobe.cli.main", "trace"]
ROOT = Path(__file__).parents[2]
CALLS = 23


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"), "-fno-omit-frame-pointer")


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        worker.rename(b"worker")
        yield worker


def await_poll(worker: Worker, tracer: subprocess.Popen[bytes]) -> None:
    """Wait until the only probe is there and the tracer waits for its events, in epoll_wait(2)."""
    worker.await_probe("hot")
    while Path(f"/proc/{tracer.pid}/syscall").read_text().split()[:1] != ["232"]:
        assert tracer.poll() is None
        time.sleep(0.01)


def trace(
    worker: Worker, count: int, act: Callable[[], object], *words: str, header: bool = True
) -> list[str]:
    """The lines that are printed until ``count`` events have come."""
    command = [*TRACE, "-p", str(worker.pid), "-M", str(count), *words]
    tracer = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert tracer.stdout is not None
    first = b""
    try:
        if header:
            first = tracer.stdout.readline()  # which is printed once all probes are there
        else:
            await_poll(worker, tracer)
        act()
        output, errors = tracer.communicate(timeout=60)
    finally:
        tracer.kill()
    assert tracer.returncode == 0, errors
    assert b"lost" not in errors
    return (first + output).decode().splitlines()


def test_a_row_of_trace8(worker: Worker) -> None:
    spec = f'{worker.program.path}:hot "n = %d, %hd, %lld", arg1, arg2, (int)arg2'
    header, *rows = trace(worker, CALLS, lambda: worker.hot(CALLS), spec)
    assert header == f"{'PID':<7} {'TID':<7} {'COMM':<15} {'FUNC':<16} -"
    front = f"{worker.pid:<7} {worker.pid:<7} {'worker':<15} {'hot':<16} "
    assert rows == [f"{front}n = {1000 + n}, -3, -3" for n in range(CALLS)]


def test_a_probe_without_a_message_has_no_dash(worker: Worker) -> None:
    header, *rows = trace(worker, CALLS, lambda: worker.hot(CALLS), f"{worker.program.path}:hot")
    assert header == f"{'PID':<7} {'TID':<7} {'COMM':<15} FUNC"
    assert rows == [f"{worker.pid:<7} {worker.pid:<7} {'worker':<15} hot"] * CALLS


def test_predicates_and_returns(worker: Worker) -> None:
    path = worker.program.path
    specs = [
        f'p:{path}:hot(long n, int factor) ((n & 1) == 1 && factor == -3) "odd %d", n',
        f'r:{path}:hot ((long)retval < -3040) "low %ld of %ld", retval, arg1',
    ]
    header, *rows = trace(worker, 11 + 9, lambda: worker.hot(CALLS), *specs)
    assert header.endswith(" -")
    messages = [row[49:] for row in rows]
    assert [m for m in messages if m.startswith("odd")] == [
        f"odd {n}" for n in range(1001, 1023, 2)
    ]
    assert [m for m in messages if m.startswith("low")] == [
        f"low {-3 * n} of {n}" for n in range(1014, 1023)
    ]


def test_strings_are_compared_whole(worker: Worker) -> None:
    spec = f'{worker.program.path}:text (STRCMP("open", arg1)) "<%-6s|%.2s>", arg1, arg1'
    texts = [b"open", b"opened", b"ope", b"", b"open", b"xopen"]
    _, *rows = trace(worker, 2, lambda: worker.text(*texts), spec)
    assert [row[49:] for row in rows] == ["<open  |op>"] * 2


def test_long_strings_are_cut_and_say_so(worker: Worker) -> None:
    spec = f'{worker.program.path}:text "%s", arg1'
    texts = [b"x" * 79, b"x" * 80, b"x" * 81]
    _, *rows = trace(worker, 3, lambda: worker.text(*texts), spec)
    assert [row[49:] for row in rows] == ["x" * 79, "x" * 80, "x" * 80 + "..."]
    _, *rows = trace(worker, 3, lambda: worker.text(*texts), "-Z", "5", spec)
    assert [row[49:] for row in rows] == ["xxxxx..."] * 3


def test_bytes_in_memory(worker: Worker) -> None:
    spec = f'{worker.program.path}:text (STRCMP("{{0x61, 0x62, 0x63}}", arg1)) "%c%c", 0x41, 0x9'
    _, *rows = trace(worker, 1, lambda: worker.text(b"ab", b"abd", b"abcd"), "-B", spec)
    assert [row[49:] for row in rows] == [r"A\x09".replace("x09", "t")]


def test_columns_of_time_and_cpu(worker: Worker) -> None:
    spec = f"{worker.program.path}:hot"
    header, *rows = trace(worker, CALLS, lambda: worker.hot(CALLS), "-t", "-C", spec)
    assert header.startswith("TIME     CPU PID     TID ")
    assert all(re.match(rf"\d+\.\d+ +\d+ +{worker.pid} ", row) for row in rows)
    header, *rows = trace(worker, CALLS, lambda: worker.hot(CALLS), "-tu", spec)
    assert header.startswith(f"{'TIME':<17} PID ")
    assert all(re.match(rf"1\d{{9}}\.\d{{6}} {worker.pid} ", row) for row in rows)
    header, *rows = trace(worker, CALLS, lambda: worker.hot(CALLS), "-T", spec)
    assert all(re.match(rf"\d\d:\d\d:\d\d {worker.pid} ", row) for row in rows)


def test_names_and_messages_that_are_wanted(worker: Worker) -> None:
    spec = f'{worker.program.path}:text "%s", arg1'

    def act() -> None:
        for name in (b"worker", b"w*rker", b"other"):
            worker.rename(name)
            worker.text(b"first", b"second", b"third")

    _, *rows = trace(worker, 2, act, "-n", "*rk", "-f", "ir", spec)
    assert [row[16:].split() for row in rows] == [["w*rker", "text", word] for word in
                                                  ("first", "third")]  # fmt: skip


def test_rows_that_are_alike_are_counted(worker: Worker) -> None:
    spec = f'{worker.program.path}:text "%s", arg1'
    texts = [b"a", b"b", b"a", b"c", b"a", b"c", b"a"]
    _, *rows = trace(worker, 7, lambda: worker.text(*texts), "-A", spec)
    front = f"{worker.pid:<7} {worker.pid:<7} {'worker':<15} {'text':<16} "
    assert "\n".join(rows) == "\n".join(
        f"{front}{text}\n-->COUNT {count}\n" for text, count in (("a", 4), ("c", 2), ("b", 1))
    )


def test_stacks_of_the_program(worker: Worker) -> None:
    spec = f"{worker.program.path}:descend"
    name = Path(worker.program.path).name
    _, *rows = trace(worker, 5, lambda: worker.descend(5), "-U", spec)
    events = "\n".join(rows).split("\n\n")
    assert len(events) == 5
    for depth, event in enumerate(events):
        first, *frames = event.strip("\n").splitlines()
        assert first.split()[-1] == "descend"
        assert frames[0] == f"        descend+0x0 [{name}]"
        own = [frame for frame in frames[1:] if re.match(r" {8}descend\+0x[1-9a-f]", frame)]
        # At its first instruction a function has made no frame, and its caller is not in the chain
        # unless the kernel (since Linux 6.11) looks for it.
        assert len(own) in (depth, max(0, depth - 1))
    _, *rows = trace(worker, 1, lambda: worker.descend(1), "-U", "-a", spec)
    assert re.fullmatch(rf" {{8}} {{4}}[0-9a-f]{{12}} descend\+0x0 \[{name}\]", rows[1])


def test_symbols_in_messages(worker: Worker) -> None:
    spec = f'{worker.program.path}:hot "%U %K", ctx->ip, arg1'
    _, *rows = trace(worker, 1, lambda: worker.hot(1), spec)
    assert rows[0][49:] == f"hot+0x0 [{Path(worker.program.path).name}] [unknown]"


def test_lines_of_ftrace(worker: Worker) -> None:
    place = f"{worker.program.path}:{worker.program.file_offset('hot'):#x}"
    number = worker.program.file_offset("hot")
    entry = f"p:enter {place} n=%di:s32 factor=%si:s32"
    rows = trace(worker, CALLS, lambda: worker.hot(CALLS), "--style", "ftrace", entry,
                 header=False)  # fmt: skip
    front = rf" {{10}}worker-{worker.pid:<7} \[\d{{3}}\] \.{{5}} +\d+\.\d{{6}}: "
    assert len(rows) == CALLS
    for n, row in enumerate(rows):
        assert re.fullmatch(
            front + rf"enter: \(0x[0-9a-f]+{number & 0xFFF:03x}\) n={1000 + n} factor=-3", row
        )
    leave = f"r:leave {place} ret=$retval"
    rows = trace(worker, CALLS, lambda: worker.hot(CALLS), "--style", "ftrace", leave,
                 header=False)  # fmt: skip
    assert len(rows) == CALLS
    assert all(
        re.fullmatch(front + rf"leave: \(0x[0-9a-f]+ <- {number:#x}\) ret=-3\d+", row)
        for row in rows
    )


def test_the_header_of_ftrace(worker: Worker) -> None:
    place = f"{worker.program.path}:{worker.program.file_offset('hot'):#x}"
    rows = trace(worker, 2, lambda: worker.hot(2), "-H", f"p:enter {place}")
    assert rows[0] == "# tracer: nop"
    assert rows[11].split() == ["#", "|", "|", "|", "|||||", "|", "|"]
    assert len(rows) == 12 + 2


def test_the_filter_of_uprobe8(worker: Worker) -> None:
    place = f"{worker.program.path}:{worker.program.file_offset('hot'):#x}"
    spec = f"p:enter {place} n=%di:s32"
    _, *rows = trace(worker, 3, lambda: worker.hot(CALLS), spec, "n == 1001 || n > 1020")
    assert [row.split()[-1] for row in rows] == ["1001", "1021", "1022"]


def test_the_format_of_an_event(worker: Worker) -> None:
    done = subprocess.run(
        [*TRACE, "-v", f"p:enter {worker.program.path}:{worker.program.file_offset('text'):#x} "
         "s=+0(%di):string n=%si:s32 bytes=+0(%di):x8[4]"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[:2] == ["name: enter", "format:"]
    assert "\tfield:u16 probe;\toffset:0;\tsize:2;\tsigned:0;" in lines
    assert any(re.fullmatch(r"\tfield:s32 n;\toffset:\d+;\tsize:4;\tsigned:1;", x) for x in lines)
    assert any(x.startswith("\tfield:__data_loc char[] s;") for x in lines)
    assert any(x.startswith("\tfield:u8 bytes[4];") for x in lines)


def test_the_c_is_shown(worker: Worker) -> None:
    spec = f"{worker.program.path}:hot"
    done = subprocess.run(
        [*TRACE, "--ebpf", spec], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "int p0_hot(struct pt_regs *ctx)" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-s", "/bin/ping", "c:malloc"], "-s (--sym_file_list) is not there"),
        (["-u", "c:malloc"], "-u (--unix-timestamp) wants -t"),
        (["-tT", "c:malloc"], "one column of time is enough"),
        (["-A", "c:malloc"], "-A (--aggregate) wants -M"),
        (["-b", "3", "c:malloc"], "-b (--buffer-pages) is a power of two"),
        (["-b", "4", "--buffer-bytes", "9", "c:malloc"], "set the same size"),
        (["-A", "-M", "3", "--json", "c:malloc"], "-A (--aggregate) has no place here: --json"),
        (["-n", "x" * 16, "c:malloc"], "no thread has a name with"),
        (["-Z", "0", "c:malloc"], "(--string-size) must be a whole number from 1 to 16383, not 0"),
        (["--command", "ls", "-p", "1", "c:malloc"], "--command and --pid exclude each other"),
    ],
)
def test_options_that_have_no_meaning(words: list[str], said: str) -> None:
    done = subprocess.run([*TRACE, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "hint:" in done.stderr or "must be a whole number" in said
