"""A row of `lab --list` says the release that the kernel is, not one that it once was."""

from __future__ import annotations

import argparse

import pytest

from bpfprobe.cli import lab
from bpfprobe.lab.cache import Cache

CAVEAT = "bpfprobe lab: newest is 99.1.2-cloud-amd64, which has not been tested: the last that was"


@pytest.mark.parametrize(
    ("newest", "said"),
    [("7.3.4+deb14-cloud-amd64", ""), ("99.1.2-cloud-amd64", CAVEAT)],
)
def test_rows_say_the_release(capsys, monkeypatch, tmp_path, newest, said):
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path))
    for name, release in (("6.1", "6.1.0-57-cloud-amd64"), ("newest", newest)):
        kernel = tmp_path / "kernels" / release
        kernel.mkdir(parents=True)
        record = {"release": release, "path": str(kernel)}
        Cache(tmp_path / "lab").write_record(f"kernel-{name}", record)
    parser = argparse.ArgumentParser()
    lab.add_arguments(parser)
    assert lab.run(parser.parse_args(["--list"])) == 0
    printed = capsys.readouterr()
    rows = {line.split()[0]: line.split()[2] for line in printed.out.splitlines()}
    assert rows == {
        "KERNEL": "RELEASE",
        "5.10": "-",
        "6.1": "6.1.0-57-cloud-amd64",
        "6.12": "-",
        "newest": newest,
    }
    assert printed.err.startswith(said)
    assert bool(printed.err) is bool(said)
