from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe._resources import template_root
from bpfprobe.engine import compiler, compiler_child
from bpfprobe.engine.compiler import compile_c
from bpfprobe.errors import CompileError, MissingLibraryError
from tests.sample_machine import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = Path(__file__).with_name("header.h").read_text()

PROGRAM = """\
int second(struct pt_regs *ctx) { return 2; }
int first(struct pt_regs *ctx)
{
    u64 now = bpf_ktime_get_ns();
    return bpf_ringbuf_output((void *)bpf_pseudo_fd(1, 3), &now, sizeof(now), 0);
}
"""

STACK = """\
int big(struct pt_regs *ctx)
{
    char a[600];
    bpf_probe_read_kernel(a, sizeof(a), (void *)ctx->di);
    return a[ctx->ax & 511];
}
"""


def has_bcc() -> bool:
    find = "import ctypes; ctypes.CDLL('libbcc.so.0')"
    return subprocess.run([sys.executable, "-c", find], capture_output=True).returncode == 0


needs_bcc = pytest.mark.skipif(not has_bcc(), reason="needs libbcc.so.0 (apt install libbpfcc)")


@needs_bcc
def test_functions_come_back_in_the_order_asked(capfd: pytest.CaptureFixture[str]) -> None:
    first, second = compile_c(PROGRAM, HEADER, ["first", "second"])
    assert second.instructions == bytes.fromhex("b700000002000000 9500000000000000")
    assert bytes.fromhex("1812000003000000 0000000000000000") in _any_register(first.instructions)
    assert capfd.readouterr() == ("", "")


def _any_register(code: bytes) -> bytes:
    """Instructions with 2 as the target register of each map load."""
    parts = [bytearray(code[at : at + 8]) for at in range(0, len(code), 8)]
    for part in parts:
        if part[0] == 0x18:
            part[1] = part[1] & 0xF0 | 2
    return b"".join(parts)


@needs_bcc
def test_an_error_in_the_c(capfd: pytest.CaptureFixture[str]) -> None:
    text = "int f(struct pt_regs *ctx)\n{\n    return nowhere;\n}\n"
    with pytest.raises(CompileError) as caught:
        compile_c(text, HEADER, ["f"])
    assert "use of undeclared identifier 'nowhere'" in caught.value.message
    assert "\n" not in caught.value.message
    assert "return nowhere;" in caught.value.log
    assert caught.value.source == text
    assert caught.value.code == "COMPILE"
    assert capfd.readouterr() == ("", "")


@needs_bcc
def test_too_much_stack_does_not_end_this_process(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CompileError) as caught:
        compile_c(STACK, HEADER, ["big"])
    assert caught.value.code == "COMPILE_STACK"
    assert "512 bytes" in str(caught.value)
    assert capfd.readouterr() == ("", "")


@needs_bcc
def test_a_function_that_is_not_there() -> None:
    with pytest.raises(CompileError, match="no function third"):
        compile_c(PROGRAM, HEADER, ["third"])


@needs_bcc
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become nobody")
def test_no_privilege_is_needed(open_checkout: Path) -> None:
    root = open_checkout
    code = (
        f"import os, sys; sys.path.insert(0, {str(root)!r})\n"
        "from bpfprobe.engine.compiler import compile_c\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"made = compile_c('int f(void *c) {{ return 0; }}', {HEADER!r}, ['f'])\n"
        "print(len(made[0].instructions))\n"
    )
    python = os.path.realpath(sys.executable)  # that of .venv may be where only root may go
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd="/")
    assert (done.stdout, done.stderr) == ("16\n", "")


@pytest.fixture
def open_checkout() -> Iterator[Path]:
    """A copy of the package where all users may read; the checkout may be in a home of root's."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy.chmod(0o755)
        for name in ("bpfprobe", "templates"):
            shutil.copytree(Path(__file__).parents[2] / name, copy / name)
        yield copy


@pytest.fixture
def child_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script to stand in for the child process."""
    script = tmp_path / "child.py"
    monkeypatch.setattr(compiler_child, "__file__", str(script))
    return script


def test_all_that_it_sees_of_the_environment(
    child_script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("CPATH", str(tmp_path))
    monkeypatch.setenv("BCC_LINUX_VERSION_CODE", "1")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    child_script.write_text(
        "import os, sys\n"
        "sys.stdin.read(4)\n"
        "print(sorted(os.environ.items()), sys.argv[1:], file=sys.stderr)\n"
        "sys.exit(3)\n"
    )
    with pytest.raises(CompileError) as caught:
        compile_c("text", "the header", [])
    seen = [("BCC_KERNEL_SOURCE", "."), ("LC_ALL", "C"), ("PATH", "/usr/bin:/bin")]
    assert caught.value.log == f"{seen} {[str(template_root())]}\n"
    assert list(tmp_path.iterdir()) == [child_script]


def test_a_python_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(CompileError, match="/nowhere/python") as caught:
        compile_c("text", "", [])
    assert caught.value.code == "COMPILE_START"


def test_a_child_that_hangs(child_script: Path) -> None:
    child_script.write_text("import time; time.sleep(60)")
    with pytest.raises(CompileError, match=r"longer than 0\.2 s") as caught:
        compile_c("text", "", [], timeout_s=0.2)
    assert caught.value.code == "COMPILE_TIMEOUT"


def test_a_child_that_is_killed(child_script: Path) -> None:
    child_script.write_text("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CompileError, match="signal 9") as caught:
        compile_c("text", "", [])
    assert caught.value.code == "COMPILE_CRASH"


def test_an_answer_that_was_cut(child_script: Path) -> None:
    child_script.write_text("print('oka', end='')")
    with pytest.raises(CompileError) as caught:
        compile_c("text", "", [])
    assert caught.value.code == "COMPILE_CRASH"


@pytest.mark.parametrize(
    ("library", "code", "words"),
    [
        ("libnothere.so.0", "NO_LIBBCC", "apt install libbpfcc"),
        ("libc.so.6", "LIBBCC_MISMATCH", ""),
    ],
)
def test_a_library_that_is_absent_or_another(
    child_script: Path, library: str, code: str, words: str
) -> None:
    real = Path(compiler.__file__).with_name("compiler_child.py").read_text()
    child_script.write_text(real.replace('"libbcc.so.0"', repr(library)))
    with pytest.raises(MissingLibraryError) as caught:
        compile_c("text", "", [])
    assert caught.value.code == code
    assert words in str(caught.value)


def has_landlock() -> bool:
    find = "import bpfprobe.engine.compiler_child as c; print(c.read_only_beneath('/'))"
    done = subprocess.run([sys.executable, "-c", find], capture_output=True, text=True)
    return done.stdout == "True\n"


@pytest.mark.skipif(not has_landlock(), reason="needs Landlock (Linux 5.13), which is off here")
def test_the_child_reads_no_file_elsewhere(child_script: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("what it has no business with")
    child_script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(compiler.__file__).parent)!r})\n"
        "import compiler_child, os\n"
        "compiler_child.asked()\n"
        "os.chdir(sys.argv[1])\n"
        "assert compiler_child.read_only_beneath('.')\n"
        "print(open('include/linux/kconfig.h').read(), file=sys.stderr)\n"
        f"open({str(elsewhere)!r})\n"
    )
    with pytest.raises(CompileError) as caught:
        compile_c("text", "the header", [])
    assert caught.value.log.startswith("/*\n * The one header that BCC includes")
    assert "PermissionError" in caught.value.log


@needs_bcc
def test_the_code_is_the_same_where_bcc_looks_for_functions_of_the_kernel(
    child_script: Path,
) -> None:
    """Without Landlock it looks in /proc/kallsyms, and has other names for what is not there."""
    probe = "p vfs_read flags=file->f_flags name=file->f_path.dentry->d_name.name buf:ustring"
    source = compiled(probe).source
    names = [program.name for program in source.programs]
    real = Path(compiler.__file__).with_name("compiler_child.py").read_text()
    call = '    read_only_beneath(".")'
    assert call in real
    made = []
    for script in (real, real.replace(call, "    pass")):
        child_script.write_text(script)
        made.append(compile_c(source.text, source.header, names))
    assert made[0] == made[1]
    calls = {part[4] for code in made[0] for part in _slots(code.instructions) if part[0] == 0x85}
    assert {113, 114, 115} <= calls


def _slots(code: bytes) -> list[bytes]:
    return [code[at : at + 8] for at in range(0, len(code), 8)]


@pytest.mark.parametrize("parts", [[], [b""], [b"a", b"", b"\0\n" * 70_000]])
def test_messages_come_back(parts: list[bytes]) -> None:
    assert compiler_child.unpack(compiler_child.pack(parts)) == parts


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_cut_message_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="cut"):
        compiler_child.unpack(compiler_child.pack([b"abc"])[:cut])
