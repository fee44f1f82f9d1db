"""A start as it is kept: the object, and what must still hold for it to be right."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass
from bpfprobe.model.object import Object
from bpfprobe.model.object_check import object_fault
from bpfprobe.model.premise import Premise
from bpfprobe.store.container import Content, sealed, unsealed
from bpfprobe.store.noun_codec import read_noun, write_noun
from bpfprobe.store.wire import Reader, Writer, damaged


@dataclass(frozen=True, slots=True)
class Start:
    """What a session was started with.

    ``compiler`` is the identity of the one that made it, empty where any would do. ``constants``
    are the options of the session that the programs were compiled for, those that
    are handed to them as parameters left out. ``made_s`` counts seconds since 1970; ``label`` and
    ``release`` say to people what it is and for which kernel.
    """

    object: Object
    compiler: str
    premises: tuple[Premise, ...]
    constants: tuple[tuple[str, int], ...]
    label: str
    release: str
    made_s: int


def encode_start(start: Start) -> bytes:
    """The bytes of a file. Raises TypeError for what cannot be written."""
    writer = Writer()
    for text in (start.label, start.release, start.compiler):
        writer.text(text)
    writer.number(start.made_s)
    writer.row(start.premises, lambda premise: write_noun(writer, premise))
    writer.number(len(start.constants))
    for name, value in start.constants:
        writer.text(name)
        writer.number(value)
    write_noun(writer, start.object)
    return sealed(Content.START, writer.bytes())


def decode_start(data: bytes) -> Start:
    """From the bytes of a file. Raises `ObjectError`."""
    reader = Reader(unsealed(Content.START, data))
    label, release, compiler = reader.text(), reader.text(), reader.text()
    made_s = reader.number(0)
    premises = reader.row(lambda: read_noun(reader, Premise))
    constants = reader.row(lambda: (reader.text(), reader.number()))
    made: Object = read_noun(reader, Object)
    reader.end()
    fault = object_fault(made)
    if not fault and any(not -1 <= one.probe < len(made.wiring.probes) for one in premises):
        fault = "a dependency of a probe that is not there"
    if fault:
        raise damaged(fault)
    return Start(made, compiler, premises, constants, label, release, made_s)
