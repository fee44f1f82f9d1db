"""A number that has no meaning is refused by each command, and the option is named."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bpfprobe.cli.main import _parser, _rewritten
from bpfprobe.cli.trace_checks import check_options
from bpfprobe.cli.trace_probes import describe_specs
from bpfprobe.model.options import OptionError

ROOT = Path(__file__).resolve().parents[2]
SPEC = "kprobe:vfs_read"


@pytest.mark.parametrize("value", ["nan", "-1", "inf", "-inf", "1e400", "-0.001", "1e10"])
def test_seconds(value: str) -> None:
    words = ["trace", f"--duration={value}", SPEC]
    with pytest.raises(OptionError, match=r"-d \(--duration\) must be a number of seconds from 0"):
        check_options(_parser(words).parse_args(_rewritten(words)))


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("-M", ["0", "-1"]),
        ("-p", ["-1", "4294967296", "1" + "0" * 100]),
        ("-L", ["-1", "4294967296"]),
        ("-b", ["0", "-4", "3"]),
        ("--buffer-bytes", ["0", "-1", str((1 << 30) + 1)]),
        ("--max-places", ["0", "-1", "1048577"]),
        ("-Z", ["0", "-1", "16384"]),
    ],
)
def test_whole_numbers(option: str, wrong: list[str]) -> None:
    for value in wrong:
        words = ["trace", option, value, SPEC]
        args = _parser(words).parse_args(_rewritten(words))
        with pytest.raises(OptionError) as caught:
            _ = check_options(args), describe_specs(args, "x86_64")
        assert option in caught.value.message


LINES = [
    ["trace", "-d", "nan", SPEC],
    ["trace", "-M", "-1", "vfs_read"],
    ["build", "-Z", "0", "-o", "/nonexistent/x.bpfo", SPEC],
    ["build", "--buffer-bytes", "0", "-o", "/nonexistent/x.bpfo", SPEC],
    ["build", "--max-places", "-1", "-o", "/nonexistent/x.bpfo", SPEC],
    ["explain", "--max-places", "0", SPEC],
    ["list", "-p", "-1", "uprobe:c:malloc"],
    ["lab", "--timeout", "nan", "--", "true"],
    ["lab", "--timeout", "-1", "--", "true"],
]


def test_every_command_says_it_in_a_line() -> None:
    def done(words: list[str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bpfprobe", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(done, LINES))
    for words, one in zip(LINES, ended, strict=True):
        first = one.stderr.splitlines()[0]
        assert first.startswith("bpfprobe: "), (words, one.stderr)
        assert "must be a" in first
        assert first.endswith("[OPTION]")
        assert (one.returncode, one.stdout) == (1, "")
