from __future__ import annotations

import argparse

import pytest

from bpfprobe.cli import lab


def parsed(*words):
    parser = argparse.ArgumentParser()
    lab.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("words", [["--", "ls", "-l", "--"], ["ls", "-l", "--"]])
def test_the_command_keeps_its_options(words):
    command = parsed("--kernel", "5.10", *words).command
    assert [word for word in command if word != "--"] == ["ls", "-l"]
    assert command[-1] == "--"


def test_no_command_is_a_usage_error(capsys):
    assert lab.run(parsed("-q")) == 2
    assert "give a command" in capsys.readouterr().err


def test_an_unknown_kernel_has_a_status_of_its_own(capsys):
    assert lab.run(parsed("-q", "--kernel", "4.4", "--", "true")) == 125
    error = capsys.readouterr().err
    assert "LAB_UNAVAILABLE" in error
    assert "6.1" in error


def test_list_shows_every_kernel(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path))
    assert lab.run(parsed("--list")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["5.10", "6.1", "6.12", "newest"]
    assert all(" no " in line for line in lines[1:])
