from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pytest

from bpfprobe.cli import explain
from bpfprobe.errors import UsageError

RECORDED = Path(__file__).parents[1] / "targets" / "x86_64-6.1.json.gz"


def ask(*words: str) -> int:
    parser = ArgumentParser()
    explain.add_arguments(parser)
    return explain.run(parser.parse_args([*words, "--target", str(RECORDED)]))


def test_the_line_for_another_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    name = "name=file->f_path.dentry->d_name.name"
    assert ask("--ftrace", f'kprobe:vfs_read n=count {name} if count > 4096 && name != "x"') == 0
    assert capsys.readouterr().out == (
        "p:bpfprobe/vfs_read vfs_read n=%dx:u64 name=+0(+40(+24(%di))):string\n"
        '#   events/bpfprobe/vfs_read/filter: n > 4096 && name != "x"\n'
        '#   differs: where a string cannot be read, != and ~ "!..." hold there, '
        "and here they do not\n"
    )


def test_why_there_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--ftrace", "kprobe:vfs_read n=count", "syscall:execve argv retval") == 1
    assert capsys.readouterr().out == (
        "p:bpfprobe/vfs_read vfs_read n=%dx:u64\n"
        "\n"
        "# execve: no line of ftrace means the same\n"
        "#   argv: a list of unknown length has no form; its strings go one by one: "
        "+0(+0(VECTOR)):ustring +0(+8(VECTOR)):ustring\n"
    )


def test_ftrace_is_no_stage() -> None:
    with pytest.raises(UsageError):
        ask("--ftrace", "--stage", "plan", "kprobe:vfs_read")
