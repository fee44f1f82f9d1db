"""The same values taken by the kernel's events and by bpfprobe, hit by hit."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import kernel_side
from kernel_side import TRACEFS
from workload import HITS

import bpfprobe as bp
from bpfprobe.deliver.escape import escape
from bpfprobe.deliver.ftrace_text import ftrace_values
from bpfprobe.model.span import SourceText
from bpfprobe.parse.definition import parse_definition

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workload import Child

    from bpfprobe.target import Target

GROUP = "differential"
CAPTURES_AT_ONCE = 12
STRING_BYTES = 256
_LINE = re.compile(r"\s*.{16}-\d+ .*?: (?P<event>\w+): \(.*?\)(?P<values>.*)")
_VALUE = re.compile(r" (v\d+_)=")


@dataclass(frozen=True)
class Asked:
    """A value that was asked for at a place: the words of a definition, without a name."""

    head: str
    body: str


@dataclass(frozen=True)
class Pair:
    """What the two made of a value at one hit."""

    asked: Asked
    hit: int
    kernel: str
    ours: str

    def __str__(self) -> str:
        return f"{self.asked.head} {self.asked.body} (hit {self.hit}):\n" + "\n".join(
            [f"    kernel: {self.kernel}", f"    ours:   {self.ours}"]
        )


def asked_in(definitions: Iterable[str]) -> list[Asked]:
    """Each value of each definition once; names of events and of values are left out."""
    found: dict[Asked, None] = {}
    for text in definitions:
        spec = parse_definition(SourceText(text))
        letter = "r" if text[0] == "r" else text[0]
        head = f"{letter} {spec.point_span.text}"
        for capture in spec.captures:
            body = re.sub(r"^\w+=(?!=)", "", capture.span.text)
            if body != "$arg*":
                found[Asked(head, body)] = None
    return list(found)


def take(asked: Sequence[Asked], child: Child, target: Target) -> list[Pair]:
    """Have both take all values while the child works; every hit must be there for both."""
    definitions = _batches(asked)
    for name, (head, values) in definitions.items():
        text = " ".join(f"v{n}_={value.body}" for n, value in enumerate(values))
        letter, place = head.split(" ", 1)
        verdict = kernel_side.define(f"{letter}:{GROUP}/{name} {place} {text}")
        assert verdict.accepts, f"{verdict}: {head} {text}"
    specs = [
        replace(
            parse_definition(SourceText(_definition(name, head, values))), string_bytes=STRING_BYTES
        )
        for name, (head, values) in definitions.items()
    ]
    events = TRACEFS / "events" / GROUP
    (TRACEFS / "trace").write_text("")
    (events / "filter").write_text(f"common_pid == {child.pid}")
    with bp.Session(*specs, pid=child.pid, target=target) as session:
        (events / "enable").write_text("1")
        child.run()
        (events / "enable").write_text("0")
        ours = defaultdict(list)
        for event in session.events(duration=60, max_events=HITS * len(specs)):
            ours[event.probe].append([text for _, text in ftrace_values(event)])
        counted = session.statistics()
    kernels = _kernel_hits()
    kernel_side.delete_all()
    pairs: list[Pair] = []
    for name, (head, values) in definitions.items():
        hits = len(ours[name]), len(kernels[name])
        assert hits == (HITS, HITS), f"{head}: {hits[0]} hits, of the kernel's {hits[1]}: {counted}"
        for hit, (one, other) in enumerate(zip(ours[name], kernels[name], strict=True)):
            assert len(one) == len(other) == len(values), f"{head}: {one} {other}"
            pairs += map(Pair, values, [hit] * len(values), other, one)
    return pairs


def _definition(name: str, head: str, values: Sequence[Asked]) -> str:
    letter, place = head.split(" ", 1)
    return f"{letter}:{name} {place} " + " ".join(
        f"v{n}_={value.body}" for n, value in enumerate(values)
    )


def _batches(asked: Sequence[Asked]) -> dict[str, tuple[str, list[Asked]]]:
    by_head: dict[str, list[Asked]] = defaultdict(list)
    for value in asked:
        by_head[value.head].append(value)
    found: dict[str, tuple[str, list[Asked]]] = {}
    for head, values in by_head.items():
        for part in _parts(values):
            found[f"e{len(found)}"] = (head, part)
    return found


def _parts(values: list[Asked]) -> Iterable[list[Asked]]:
    for at in range(0, len(values), CAPTURES_AT_ONCE):
        yield values[at : at + CAPTURES_AT_ONCE]


def _kernel_hits() -> dict[str, list[list[str]]]:
    """The values of every event of the trace, by its name; a value may hold line ends."""
    hits: dict[str, list[list[str]]] = defaultdict(list)
    lines: list[str] = []
    for line in (TRACEFS / "trace").read_text(errors="surrogateescape").split("\n"):
        if _LINE.match(line):
            lines.append(line)
        elif lines and not line.startswith("#"):
            lines[-1] += "\n" + line
    for line in lines:
        found = _LINE.fullmatch(line.rstrip("\n")) or re.fullmatch(
            _LINE.pattern, line.rstrip("\n"), re.DOTALL
        )
        assert found, line
        hits[found["event"]].append([escape(v) for v in _VALUE.split(found["values"])[2::2]])
    return hits
