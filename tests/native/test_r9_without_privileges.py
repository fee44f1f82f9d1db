"""Every command and every example answers in a message with a code, whatever it is refused.

So it is for a user without privileges, also where the names of the kernel cannot be read, without
descriptors, in a folder that has been removed, and without a place to write to.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.native.programs import Program, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PYTHON = os.path.realpath(sys.executable)  # any user may run it, unlike the one of .venv
COMMANDS = {
    "trace uprobe:c:malloc": 77,
    "trace kprobe:vfs_read": 77,
    "trace syscall:openat filename": 77,
    "trace tracepoint:sched:sched_switch": 77,
    "trace usdt:python3:python:gc__start": 77,
    "trace --follow uprobe:c:malloc": 77,
    "trace -p 1 uprobe:c:malloc": 77,
    "trace --command true uprobe:c:malloc": 77,
    "trace do_sys_openat2": 77,
    "list uprobe:c:mallo*": 0,
    "list tracepoint:sched:*": 1,
    "list --defined": 1,
    "explain uprobe:c:malloc": 0,
    "check uprobe:c:malloc": 0,
    "build uprobe:c:malloc -o /x.bpfo": 1,
    "explain --record /x.json uprobe:c:malloc": 1,
    "cache list": 0,
    "cache clear": 0,
    "doctor": 1,
    "doctor --stale": 1,
    "doctor --stale --clean": 1,  # NO_TRACEFS; where that is mounted, PRIVILEGE
    "lab --list": 125,
    "lab -- true": 125,
}
KERNEL_COMMANDS = ("list kprobe:vfs_read", "explain kprobe:vfs_read", "check kprobe:vfs_read")
EXAMPLES = {
    "hello_open": 77,
    "execsnoop": 77,
    "opensnoop": 77,
    "bashreadline": 77,
    "gethostlatency": 77,
    "sslsniff": 77,
    "funccount c:mem*": 77,
    "memleak -p 1": 77,
    "ucalls 1": 1,
    "ugc 1": 1,
    "dbslower postgres": None,  # no server may be there
}


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A copy that any user can read."""
    top = Path(tempfile.mkdtemp(prefix="bpfprobe-nobody-"))
    top.chmod(0o755)
    for name in ("bpfprobe", "templates", "examples"):
        shutil.copytree(ROOT / name, top / name, ignore=shutil.ignore_patterns("__pycache__"))
    yield top
    shutil.rmtree(top)


def answer(
    checkout: Path, words: list[str], *before: str, refuse: Callable[[], None] | None = None
) -> tuple[int, str]:
    """Status and complaints; the output of a command that works is of no interest here."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [*before, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "timeout",
         "60", PYTHON, "-S", "-B", *words],
        cwd="/", env=environment, capture_output=True, text=True, check=False, preexec_fn=refuse,
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done.returncode, done.stderr


def is_a_message(text: str) -> bool:
    """Whether it is a cause with its code, and at most a hint, or all that a table said."""
    lines = text.splitlines()
    return bool(lines) and re.search(r" \[[A-Z_]+\]$", lines[0]) is not None and len(lines) <= 2


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, checkout: Path) -> None:
    status, said = answer(checkout, ["-m", "bpfprobe", *command.split()])
    mounted = Path("/sys/kernel/tracing/events").exists()
    if "--clean" in command:
        assert status == (77 if mounted else 1), said
    elif "tracepoint" in command or not mounted or COMMANDS[command] != 1:
        assert status == COMMANDS[command], said
    assert is_a_message(said) or (said == "" and status in (0, 1)), said


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples(example: str, checkout: Path) -> None:
    name, *words = example.split()
    status, said = answer(checkout, [str(checkout / "examples" / f"{name}.py"), *words])
    assert status == (EXAMPLES[example] or status), said
    assert is_a_message(said), said


def test_every_example_is_here() -> None:
    runnable = {path.stem for path in (ROOT / "examples").glob("*.py")}
    tested = {example.split()[0] for example in EXAMPLES}
    assert runnable - tested == {"demo", "test_without_root"}  # the demo starts execsnoop


@pytest.mark.parametrize("command", KERNEL_COMMANDS)
def test_names_of_the_kernel_that_cannot_be_read(command: str, checkout: Path) -> None:
    """Then none is missing: what is not seen is not said not to be there."""
    secret = checkout / "secret"
    secret.touch(mode=0o600)
    hidden = ["unshare", "--mount", "sh", "-c",
              f'mount --bind {secret} /proc/kallsyms && exec "$@"', "sh"]  # fmt: skip
    probe = subprocess.run([*hidden, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("nothing can be mounted over /proc/kallsyms here")
    words = ["-m", "bpfprobe", *command.split()]
    done = subprocess.run(
        [*hidden, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
         PYTHON, "-S", "-B", *words],
        cwd="/", env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "NO_KALLSYMS" in said
    assert "/proc/kallsyms: Permission denied" in said
    assert "CONFIG_KALLSYMS" not in said


@pytest.mark.parametrize("limit", [5, 6, 7, 8, 9, 10, 20])
def test_few_descriptors(limit: int, tmp_path: Path) -> None:
    """A tracer starts, or says what it lacks."""
    program = Program.build(tmp_path)

    def refuse() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-B", "-m", "bpfprobe", "trace", "-d", "0.1",
         f"uprobe:{program.path}:hot n=$arg1"],
        cwd=ROOT, env={**os.environ, "BPFPROBE_CACHE": "off"}, preexec_fn=refuse,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    if done.returncode:
        first, *_ = done.stderr.splitlines()
        assert "Too many open files" in first or "too many files open" in first
        assert is_a_message(done.stderr)
    else:
        assert done.stderr == "bpfprobe: 0 of 0 events delivered\n" or "never hit" in done.stderr


FULL = """
import os, resource, sys
import bpfprobe as bp

LIMIT = 9

def held():
    return [number for number in range(LIMIT) if os.path.exists(f"/proc/self/fd/{number}")]

session = bp.Session(bp.uprobe(sys.argv[1], "hot", n="$arg1"))
before = held()
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))  # a soft one would be raised
try:
    session.open()
except bp.BpfprobeError as error:
    print(error.code)
print(len(before) < LIMIT, held() == before)
"""


def test_few_descriptors_in_python(tmp_path: Path) -> None:
    """The hard limit cannot be raised again everywhere: in a process of its own."""
    program = Program.build(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", FULL, program.path], cwd=ROOT, capture_output=True, text=True,
        check=True, env={**os.environ, "BPFPROBE_CACHE": "off"},
    )  # fmt: skip
    code, some_were_free, none_stays = done.stdout.split()
    assert code.isupper()
    assert (some_were_free, none_stays) == ("True", "True")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("cache list", 0),
        ("explain uprobe:c:malloc", 0),
        ("explain uprobe:./a.out:f", 1),
        ("build uprobe:c:malloc -o x.bpfo", 1),
        ("lab --list", 1),
        ("lab -- true", 1),
        ("check ./probes.txt", 1),
    ],
)
def test_the_current_folder_has_been_removed(command: str, status: int, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(gone), sys.executable, "-B", "-m",
         "bpfprobe", *command.split()],
        env={**os.environ, "BPFPROBE_CACHE": "relative", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert is_a_message(done.stderr) or not status, done.stderr
