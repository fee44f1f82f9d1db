"""What the kernel says to a second definition of an event is said by every command and call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.cli.main import main
from bpfprobe.errors import SpecError
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE

if TYPE_CHECKING:
    from pathlib import Path

PAIRS = [
    ("DIFF_PROBE_TYPE", "p:g/ev vfs_read", "r:g/ev vfs_read"),
    ("DIFF_ARG_TYPE", "p:g/ev vfs_read a=%ax", "p:g/ev vfs_read b=%ax"),
    ("SAME_PROBE", "p:g/ev vfs_read", "p:g/ev vfs_read"),
    ("EVENT_EXIST", "p:g/ev vfs_read", "e:g/ev sched/sched_switch"),
]


@pytest.mark.parametrize(("code", "first", "second"), PAIRS)
def test_a_session_says_it(code: str, first: str, second: str) -> None:
    probes = [bp.probe(first), bp.probe(second)]
    with pytest.raises(SpecError) as caught:
        bp.Session(*probes, target=MACHINE, engine=FakeEngine()).open()
    assert caught.value.code == code


@pytest.mark.parametrize("command", ["trace", "explain", "build", "check"])
@pytest.mark.parametrize(("code", "first", "second"), PAIRS)
def test_every_command_says_it(
    command: str,
    code: str,
    first: str,
    second: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("bpfprobe.starting.live_target", lambda: MACHINE)
    monkeypatch.setattr("bpfprobe.starting.live_engine", FakeEngine)
    monkeypatch.setattr("bpfprobe.cli.targets.target_of", lambda path: MACHINE)
    for module in ("explain", "check"):
        monkeypatch.setattr(f"bpfprobe.cli.{module}.target_of", lambda path: MACHINE)
    more = ["-o", str(tmp_path / "x.bpfo")] if command == "build" else []
    with pytest.raises(SystemExit) as ended:
        main([command, *more, first, second])
    assert ended.value.code == 2
    assert f"[{code}]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "texts",
    [
        ("p vfs_read", "p vfs_read a=%ax"),
        ("kprobe:vfs_read", "kprobe:vfs_read"),
        ("p::vfs_read", 'p::vfs_read "%d", 3'),
        ("p:ev vfs_read", "p:g/ev vfs_read a=%di"),
    ],
)
def test_other_probes_are_events_of_their_own(texts: tuple[str, ...]) -> None:
    probes = [bp.probe(text) for text in texts]
    with bp.Session(*probes, target=MACHINE, engine=FakeEngine()) as session:
        assert len(session.probes) == 2
