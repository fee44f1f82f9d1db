"""Objects that users keep, to bytes and back. What is read may be anybody's."""

from __future__ import annotations

from bpfprobe.model.object_check import programs_fault
from bpfprobe.model.object_file import ObjectFile
from bpfprobe.store.container import Content, sealed, unsealed
from bpfprobe.store.noun_codec import read_noun, write_noun
from bpfprobe.store.wire import Reader, Writer, damaged


def encode_object_file(made: ObjectFile) -> bytes:
    """The bytes of a ``.bpfo`` file."""
    writer = Writer()
    write_noun(writer, made)
    return sealed(Content.FILE, writer.bytes())


def decode_object_file(data: bytes) -> ObjectFile:
    """From the bytes of a ``.bpfo`` file. Raises `ObjectError`."""
    reader = Reader(unsealed(Content.FILE, data))
    made: ObjectFile = read_noun(reader, ObjectFile)
    reader.end()
    if not made.descriptions or any(each.canonical() is None for each in made.descriptions):
        raise damaged("it describes no probe that there can be")
    for variant in made.variants:
        if fault := programs_fault(variant.programs):
            raise damaged(fault)
    return made
