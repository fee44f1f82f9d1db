from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import TYPE_CHECKING

import pytest

from bpfprobe.cli import listing
from bpfprobe.cli.defined import list_defined
from bpfprobe.errors import UsageError
from bpfprobe.target.event_files import EventFiles
from bpfprobe.target.processes import Processes
from tests.tracing_root import add_process, make_root

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """\
EVENT                             KIND  PLACE                          STATE            ENABLED  HITS  MISSED  MADE BY
kprobes/r_vfs_read_bcc_99         r64   vfs_read                       DISABLED FTRACE  no         41       7  bcc, process 99 has ended
kprobes/p_vfs_open_bcc_100        p     vfs_open                       -                -           -       -  bcc, process 100 (tracer 100) lives
my/ev                             p     vfs_read+16                    OPTIMIZED        yes        23       0  -
    a=%di b=+0(%si):string
probe/vfs_write                   p     vfs_write                      FTRACE           no         17       1  perf probe
kprobes/libbpf_99_0_vfs_open_0x0  p     vfs_open                       -                -           -       -  libbpf, process 99 has ended
uprobes/p__bin_sh_0x5000_bcc_99   p     /bin/sh:0x0000000000005000     -                -           -       -  bcc, process 99 has ended
sdt_libc/setjmp                   p     /lib/libc.so.6:0x10(0x20)      -                -           5       -  perf probe
    arg1=%di
eprobes/e1                        e     sched.sched_switch             -                -           -       -  -
    a=$next_pid
synthetic/wake                    s     -                              -                -           -       -  -
    u64 lat; pid_t pid
fprobes/f1                        f     vfs_open%return                -                -           -       -  -
-                                 p     nf_conntrack:nf_ct_delete+0x4  ARMED            -           -       -  perf_event_open(2), or a module
-                                 p     old:gone+0x0                   GONE             -           -       -  perf_event_open(2), or a module
"""  # noqa: E501 - as it is printed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path)
    add_process(tmp_path, 100)
    return tmp_path


def ask(root: Path, pattern: str = "*", *, verbose: bool = False, as_json: bool = False) -> int:
    files = EventFiles(root)
    return list_defined(files, Processes(root), pattern, verbose=verbose, as_json=as_json)


def test_the_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(root, verbose=True) == 0
    assert capsys.readouterr().out == TABLE


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("kprobes/*", ["r_vfs_read_bcc_99", "p_vfs_open_bcc_100", "libbpf_99_0_vfs_open_0x0"]),
        ("vfs_write", ["vfs_write"]),
        ("nothing*", []),
    ],
)
def test_json_of_what_fits(
    root: Path, capsys: pytest.CaptureFixture[str], pattern: str, names: list[str]
) -> None:
    assert ask(root, pattern, as_json=True) == (0 if names else 1)
    told = json.loads(capsys.readouterr().out)
    assert [event["name"] for event in told["events"]] == names
    assert told["kprobes_shown"] is True
    if names and names[0].endswith("_99"):
        assert told["events"][0]["maker"] == {"tool": "bcc", "pid": 99, "ended": True}
        assert told["events"][0]["states"] == ["DISABLED", "FTRACE"]


def test_without_debugfs_the_states_are_untold(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "sys/kernel/debug/kprobes/list").unlink()
    assert ask(root, "my/ev") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["my/ev", "p", "vfs_read+16", "-", "yes", "23", "0", "-"]
    assert "mount -t debugfs" in lines[-1]


def test_nothing_defined(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(root, "nothing") == 1
    assert capsys.readouterr().out == "nothing is defined\n"


@pytest.mark.parametrize("words", [["--json"], ["--defined", "-p", "1"]])
def test_options_without_meaning(words: list[str]) -> None:
    parser = ArgumentParser()
    listing.add_arguments(parser)
    with pytest.raises(UsageError, match="--defined"):
        listing.run(parser.parse_args(words))
