"""What another user writes, renames and links is neither compiled, loaded nor kept by root.

The environment is that user's, as su leaves it to root: folders for what is temporary, for what is
kept, and for libraries.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from bpfprobe.store.code import decode_code
from tests.native.programs import Program, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.object import Bytecode, CSource

pytestmark = needs_uprobes

STARTS = int(os.environ.get("BPFPROBE_STARTS", "67"))
ALICE = 12345
FOLDERS = ("tmp", "run", "cache", "home", "bcc", "lib", "cwd")
EVIL = "#define u64 unsigned long long\n#error written by another user\n"
# Whatever appears in those folders is moved away, and has another put in its place; in turns with
# links and headers under every name that is known to be looked for.
OTHER_USER = """
import os, sys, time
names = sys.argv[1:]
known = ("objects", "bpfprobe", "include")
evil = os.environ["EVIL"]
def header(folder):
    os.makedirs(folder + "/include/linux", exist_ok=True)
    with open(folder + "/include/linux/kconfig.h", "w") as file:
        file.write(evil)
turn = 0
print("ready", flush=True)
while True:
    turn += 1
    for name in names:
        for found in os.listdir(name):
            path = f"{name}/{found}"
            try:
                if found.startswith("mine") or found in known:
                    continue
                os.rename(path, f"{name}/mine-{turn}-{os.urandom(4).hex()}")
                if turn % 3:
                    header(path)
                else:
                    os.symlink(f"{name}/mine", path)
            except OSError:
                pass
        for one in known:
            try:
                if turn % 2:
                    os.symlink("/etc", f"{name}/{one}")
                else:
                    os.unlink(f"{name}/{one}")
            except OSError:
                pass
    time.sleep(0.0005)
"""
EVIL_LIBRARY = """
#include <stdlib.h>
#include <fcntl.h>
__attribute__((constructor)) static void loaded(void) { creat(getenv("LOADED"), 0600); }
"""


@pytest.fixture
def alice() -> Iterator[Path]:
    """A folder of another user's, which that user can reach."""
    home = Path(tempfile.mkdtemp(prefix="alice-"))
    home.chmod(0o755)
    for name in FOLDERS:
        (home / name).mkdir()
        (home / name / "mine").mkdir()
        os.chown(home / name / "mine", ALICE, ALICE)
    for name in ("", *FOLDERS):
        os.chown(home / name, ALICE, ALICE)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def other_user(alice: Path) -> Iterator[subprocess.Popen[str]]:
    python = os.path.realpath(sys.executable)  # the one of .venv may lie in root's folder
    command = [python, "-c", OTHER_USER, *(str(alice / name) for name in FOLDERS)]
    with subprocess.Popen(
        command, user=ALICE, group=ALICE, extra_groups=[], cwd="/", env={"EVIL": EVIL},
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        still_there = process.poll() is None
        process.kill()
    assert still_there


class Recorder(LiveEngine):
    """Remembers what was compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.compiled: list[bytes] = []

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        made = super().compile(source)
        self.compiled += [code.instructions for code in made]
        return made


def test_nothing_of_another_user_is_compiled_or_kept(
    alice: Path,
    other_user: subprocess.Popen[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = Program.build(tmp_path)
    monkeypatch.setenv("BPFPROBE_CACHE", "off")
    wanted = start(program)
    assert len(wanted) == 1
    theirs = {
        "TMPDIR": "tmp", "TMP": "tmp", "XDG_RUNTIME_DIR": "run", "XDG_CACHE_HOME": "cache",
        "HOME": "home", "BCC_KERNEL_SOURCE": "bcc", "CPATH": "bcc/include",
        "BPFPROBE_COMPILER": "run/a",
    }  # fmt: skip
    for name, folder in theirs.items():
        monkeypatch.setenv(name, str(alice / folder))
    monkeypatch.chdir(alice / "cwd")
    caches = ["off", str(alice / "cache"), str(alice / "cache" / "bpfprobe"), "relative", None]
    own = tmp_path / "own"
    for number in range(STARTS):
        cache = caches[number % len(caches)] or str(own / str(number))
        monkeypatch.setenv("BPFPROBE_CACHE", cache)
        assert start(program) == wanted, f"start {number}, {cache}"
    kept = list(own.rglob("code-*"))
    assert len(kept) == STARTS // len(caches)
    for path in kept:
        assert [code.instructions for code in decode_code(path.read_bytes()).programs] == wanted
    assert other_user.poll() is None
    other_user.send_signal(signal.SIGSTOP)  # so that what is looked at stays
    assert [path for path in alice.rglob("*") if path.lstat().st_uid == 0] == []


def start(program: Program) -> list[bytes]:
    """What was compiled for a start."""
    engine = Recorder()
    with bp.Session(bp.uprobe(program.path, "hot", n="$arg1"), engine=engine):
        return engine.compiled


@pytest.mark.parametrize("spec", ["uprobe:{path}:hot n=$arg1", "kprobe:vfs_read count"])
def test_no_library_of_another_user_is_loaded(spec: str, alice: Path, tmp_path: Path) -> None:
    """libbcc by the first, libbpf for the second; and where the folder is the current one."""
    source = tmp_path / "evil.c"
    source.write_text(EVIL_LIBRARY)
    for name in ("libbcc.so.0", "libbpf.so.1", "libelf.so.1"):
        library = alice / "lib" / name
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    loaded = tmp_path / "loaded"
    words = ["explain" if spec.startswith("kprobe") else "trace", "--transport", "ring"]
    words += [spec.format(path=Program.build(tmp_path).path)]
    for folder in (str(alice / "lib"), "", "/usr/lib::", f"/nowhere;{alice / 'lib'}"):
        environment = {
            **os.environ, "LD_LIBRARY_PATH": folder, "LOADED": str(loaded), "BPFPROBE_CACHE": "off",
        }  # fmt: skip
        script = textwrap.dedent(f"""
            import sys; sys.path[:] = [{str(Path(__file__).parents[2])!r}, *sys.path[1:]]
            from bpfprobe.cli.main import main
            main({words!r})
        """)
        if not folder:
            continue
        done = subprocess.run(
            [sys.executable, "-B", "-c", script],
            cwd=alice / "lib", env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "[UNTRUSTED_LIBRARY_PATH]" in done.stderr, done.stdout + done.stderr
        assert "hint: unset LD_LIBRARY_PATH" in done.stderr
        assert not loaded.exists()
