from __future__ import annotations

import json
from argparse import ArgumentParser

import pytest

from bpfprobe.cli import doctor
from bpfprobe.target.checks import Check, Examination

EXAMINATION = Examination(
    "6.1.0",
    "x86_64",
    (
        Check("kprobes", False, "built without", "a guest"),
        Check("BTF", True, "there"),
        Check("seccomp", None, "a filter"),
    ),
    "uprobes can be attached here",
    True,
)


def test_the_report() -> None:
    assert list(doctor.report(EXAMINATION)) == [
        "Linux 6.1.0, x86_64",
        "no  kprobes  built without",
        "             -> a guest",
        "ok  BTF      there",
        "?   seccomp  a filter",
        "uprobes can be attached here",
    ]


@pytest.mark.parametrize("works", [True, False])
def test_json_and_status(
    works: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Examination("6.1.0", "x86_64", EXAMINATION.checks, "verdict", works)
    monkeypatch.setattr("bpfprobe.target.checks.examine", lambda: told)
    parser = ArgumentParser()
    doctor.add_arguments(parser)
    status = doctor.run(parser.parse_args(["--json"]))
    shown = json.loads(capsys.readouterr().out)
    assert status == (0 if works else 1)
    assert shown["works"] is works
    assert shown["checks"][0] == {
        "name": "kprobes",
        "present": False,
        "evidence": "built without",
        "way_out": "a guest",
    }
