"""Bytecode as it is kept: the same C under the same compiler is compiled once."""

from __future__ import annotations

import os
import time

from bpfprobe.errors import ObjectError
from bpfprobe.model.noun import dataclass
from bpfprobe.model.object import Bytecode
from bpfprobe.store.container import Content, sealed, unsealed
from bpfprobe.store.digest import digest
from bpfprobe.store.folder import opened_folder
from bpfprobe.store.noun_codec import read_noun, write_noun
from bpfprobe.store.wire import Reader, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.model.object import CSource

PREFIX = "code-"


@dataclass(frozen=True, slots=True)
class Code:
    """The programs of one C text. ``made_s`` counts seconds since 1970."""

    programs: tuple[Bytecode, ...]
    release: str
    made_s: int


def code_name(source: CSource, compiler: str) -> str:
    """The file for a text under the compiler with that identity."""
    programs = [f"{program.kind.name} {program.name}".encode() for program in source.programs]
    parts = [source.text.encode(), source.header.encode(), compiler.encode(), *programs]
    return PREFIX + digest(b"code", *parts)


def find_code(source: CSource, compiler: str) -> tuple[Bytecode, ...] | None:
    """What was compiled of this text before; None if it was not, or not by this compiler."""
    name = code_name(source, compiler)
    with opened_folder() as folder:
        data = None if folder is None else folder.read(name)
        if folder is None or data is None:
            return None
        try:
            programs = decode_code(data).programs
        except ObjectError:
            folder.discard(name)
            return None
    return programs if tuple(code.program for code in programs) == source.programs else None


def keep_code(source: CSource, compiler: str, programs: tuple[Bytecode, ...]) -> None:
    """Keep what was compiled."""
    code = Code(programs, os.uname().release, int(time.time()))
    with opened_folder(make=True) as folder:
        if folder is not None:
            folder.write(code_name(source, compiler), encode_code(code))


def encode_code(code: Code) -> bytes:
    """The bytes of a file."""
    writer = Writer()
    writer.text(code.release)
    writer.number(code.made_s)
    writer.row(code.programs, lambda program: write_noun(writer, program))
    return sealed(Content.CODE, writer.bytes())


def decode_code(data: bytes) -> Code:
    """From the bytes of a file. Raises `ObjectError`."""
    reader = Reader(unsealed(Content.CODE, data))
    release, made_s = reader.text(), reader.number(0)
    programs = reader.row(lambda: read_noun(reader, Bytecode))
    reader.end()
    return Code(programs, release, made_s)
