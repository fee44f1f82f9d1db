"""A target in a file: ask a machine once, answer anywhere.

The file is JSON (gzip where its name ends in ``.gz``): the version of its form, and every question
with its answer, a question a line, sorted, so that two recordings can be compared with diff(1).
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from bpfprobe.errors import TargetError
from bpfprobe.model import ktype, machine
from bpfprobe.model.ktype import KStruct
from bpfprobe.model.machine import Binary
from bpfprobe.target.files import read_regular
from bpfprobe.testing.codec import decode, encode
from bpfprobe.testing.field_checks import fits
from bpfprobe.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bpfprobe.model.ktype import Member, Prototype
    from bpfprobe.model.machine import (
        Answer,
        BinarySymbol,
        DebugSymbols,
        FileOffset,
        Instruction,
        MachineFacts,
        OtherSymbol,
        Symbol,
        SymbolRange,
        Tracepoint,
        UsdtMarker,
        VirtualAddress,
    )
    from bpfprobe.target import Target

SCHEMA = 1
"""Version of the form of the file. A file with another is refused."""
MAX_FILE_BYTES = 256 << 20
"""How long a recording may be, and its text."""


_NOT_RECORDED = "NOT_RECORDED"


class _AskedTarget:
    """Every question of `Target`, sent through `_ask` with its arguments as plain values."""

    def _ask(self, question: str, *arguments: object) -> Any:
        raise NotImplementedError

    def facts(self) -> MachineFacts:
        """See `Target.facts`."""
        return cast("MachineFacts", self._ask("facts"))

    def symbols(self, name: str) -> tuple[Symbol, ...]:
        """See `Target.symbols`."""
        return cast("tuple[Symbol, ...]", self._ask("symbols", name))

    def symbol_at(self, address: int) -> SymbolRange | None:
        """See `Target.symbol_at`."""
        return cast("SymbolRange | None", self._ask("symbol_at", address))

    def similar_functions(self, name: str) -> tuple[str, ...]:
        """See `Target.similar_functions`."""
        return cast("tuple[str, ...]", self._ask("similar_functions", name))

    def matching_functions(self, pattern: str) -> tuple[str, ...]:
        """See `Target.matching_functions`."""
        return cast("tuple[str, ...]", self._ask("matching_functions", pattern))

    def is_blacklisted(self, name: str) -> bool | None:
        """See `Target.is_blacklisted`."""
        return cast("bool | None", self._ask("is_blacklisted", name))

    def is_traceable(self, name: str) -> bool | None:
        """See `Target.is_traceable`."""
        return cast("bool | None", self._ask("is_traceable", name))

    def module(self, name: str) -> Answer:
        """See `Target.module`."""
        return cast("Answer", self._ask("module", name))

    def prototype(self, function: str, module: str = "") -> Prototype | None:
        """See `Target.prototype`."""
        return cast("Prototype | None", self._ask("prototype", function, module))

    def struct(self, name: str, module: str = "") -> KStruct | None:
        """See `Target.struct`."""
        return cast("KStruct | None", self._ask("struct", name, module))

    def similar_structs(self, name: str) -> tuple[str, ...]:
        """See `Target.similar_structs`."""
        return cast("tuple[str, ...]", self._ask("similar_structs", name))

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """See `Target.members`."""
        return cast("tuple[Member, ...]", self._ask("members", struct))

    def tracepoint(self, category: str, name: str) -> Tracepoint | None:
        """See `Target.tracepoint`."""
        return cast("Tracepoint | None", self._ask("tracepoint", category, name))

    def matching_tracepoints(self, pattern: str) -> tuple[str, ...]:
        """See `Target.matching_tracepoints`."""
        return cast("tuple[str, ...]", self._ask("matching_tracepoints", pattern))

    def binary(self, path: str, pid: int | None = None) -> Binary:
        """See `Target.binary`."""
        return cast("Binary", self._ask("binary", path, pid))

    def binary_symbols(self, binary: Binary, name: str) -> tuple[BinarySymbol, ...]:
        """See `Target.binary_symbols`."""
        return cast("tuple[BinarySymbol, ...]", self._ask("binary_symbols", binary, name))

    def matching_binary_symbols(self, binary: Binary, pattern: str) -> tuple[str, ...]:
        """See `Target.matching_binary_symbols`."""
        return cast("tuple[str, ...]", self._ask("matching_binary_symbols", binary, pattern))

    def similar_binary_symbols(self, binary: Binary, name: str) -> tuple[str, ...]:
        """See `Target.similar_binary_symbols`."""
        return cast("tuple[str, ...]", self._ask("similar_binary_symbols", binary, name))

    def source_name(self, binary: Binary, symbol: str) -> str:
        """See `Target.source_name`."""
        return cast("str", self._ask("source_name", binary, symbol))

    def debug_symbols(self, binary: Binary) -> DebugSymbols:
        """See `Target.debug_symbols`."""
        return cast("DebugSymbols", self._ask("debug_symbols", binary))

    def other_symbol(self, binary: Binary, name: str) -> OtherSymbol | None:
        """See `Target.other_symbol`."""
        return cast("OtherSymbol | None", self._ask("other_symbol", binary, name))

    def function_at(self, binary: Binary, offset: FileOffset) -> BinarySymbol | None:
        """See `Target.function_at`."""
        return cast("BinarySymbol | None", self._ask("function_at", binary, offset))

    def instruction_at(
        self, binary: Binary, offset: FileOffset, is_start: bool = False
    ) -> Instruction:
        """See `Target.instruction_at`."""
        return cast("Instruction", self._ask("instruction_at", binary, offset, is_start))

    def binary_prototype(self, binary: Binary, entry: VirtualAddress) -> Prototype | None:
        """See `Target.binary_prototype`."""
        return cast("Prototype | None", self._ask("binary_prototype", binary, entry))

    def source_lines(self, binary: Binary, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """See `Target.source_lines`."""
        return cast("tuple[VirtualAddress, ...]", self._ask("source_lines", binary, file, line))

    def binary_package(self, binary: Binary) -> str:
        """See `Target.binary_package`."""
        return cast("str", self._ask("binary_package", binary))

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """See `Target.markers`."""
        return cast("tuple[UsdtMarker, ...]", self._ask("markers", binary))

    def binary_variable(self, binary: Binary, name: str) -> VirtualAddress | None:
        """See `Target.binary_variable`."""
        return cast("VirtualAddress | None", self._ask("binary_variable", binary, name))

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """See `Target.mapped_files`."""
        return cast("tuple[str, ...]", self._ask("mapped_files", pid))

    def process_maps_binary(self, pid: int, binary: Binary) -> bool:
        """See `Target.process_maps_binary`."""
        return cast("bool", self._ask("process_maps_binary", pid, binary))


class RecordingTarget(_AskedTarget):
    """Answers as another target does, and remembers; an error is an answer like any other."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._answers: dict[str, object] = {}

    def write(self, path: Path | str) -> None:
        """Write all that was asked so far; gzip where the name ends in ``.gz``.

        The same questions and answers make the same bytes; a file of that name stays as it was
        until the new one is whole. Raises `ResourceError` (NO_OUTPUT).
        """
        lines = [
            f"{json.dumps(key)}: {json.dumps(encode(self._answers[key]))}"
            for key in sorted(self._answers)
        ]
        text = f'{{"schema": {SCHEMA}, "answers": {{\n' + ",\n".join(lines) + "\n}}\n"
        data = text.encode("ascii")
        write_whole(path, gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data)

    def _ask(self, question: str, *arguments: object) -> Any:
        ask = cast("Callable[..., object]", getattr(self._target, question))
        key = _key(question, arguments)
        try:
            answer = ask(*arguments)
        except TargetError as error:
            if error.code != _NOT_RECORDED:  # of another recording: no answer of a machine
                self._answers[key] = error
            raise
        self._answers[key] = answer
        return answer


class RecordedTarget(_AskedTarget):
    """Answers from a recording, on any machine.

    A question that was never recorded raises `TargetError` (NOT_RECORDED): an answer made up here
    would be wrong without a sound.
    """

    def __init__(self, answers: dict[str, object], source: str = "the recording") -> None:
        self._answers = answers
        self._source = source

    @classmethod
    def load(cls, path: Path | str) -> RecordedTarget:
        """From a file that `RecordingTarget.write` made.

        Raises `TargetError`: NO_FILE, NOT_REGULAR, NO_ACCESS, LINK_LOOP, TOO_BIG, BAD_RECORDING.
        """
        try:
            data = read_regular(str(path), MAX_FILE_BYTES)
            answers = _answers(_unpacked(data) if str(path).endswith(".gz") else data)
        except (ValueError, RecursionError, zlib.error) as error:
            raise TargetError(
                f"{path} is not a recorded target: {error}",
                code="BAD_RECORDING",
                hint="record it again with record_target() of bpfprobe.testing",
            ) from error
        return cls(answers, str(path))

    def _ask(self, question: str, *arguments: object) -> Any:
        key = _key(question, arguments)
        if key not in self._answers:
            raise TargetError(
                f"{key} was never asked when {self._source} was recorded",
                code=_NOT_RECORDED,
                hint="record it on that machine: bpfprobe explain --record FILE SPEC, or "
                "record_target(LiveTarget())",
            )
        answer = self._answers[key]
        if isinstance(answer, TargetError):
            raise TargetError(answer.message, hint=answer.hint, code=answer.code)
        return answer


def record_target(target: Target) -> RecordingTarget:
    """A target that answers as ``target`` does and can be written to a file."""
    return RecordingTarget(target)


def _unpacked(data: bytes) -> bytes:
    """Return what gzip packed, of one member. Raises ValueError and `zlib.error`."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    text = unpacker.decompress(data, MAX_FILE_BYTES + 1)
    if not unpacker.eof and len(text) <= MAX_FILE_BYTES:
        raise ValueError("its end is missing")
    return text


def _answers(text: bytes) -> dict[str, object]:
    """Return the answer to each question, of the type that it has. Raises ValueError."""
    if len(text) > MAX_FILE_BYTES:
        raise ValueError(f"it is of more than {MAX_FILE_BYTES >> 20} MiB")
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    answers = content.get("answers")
    if not isinstance(answers, dict):
        raise ValueError("it has no answers")
    types = _answer_types()
    found: dict[str, object] = {}
    for key, value in answers.items():
        question, _, _ = key.partition("(")
        answer = found[key] = decode(value)
        if question not in types:
            raise ValueError(f"{question!r} is not a question")
        if not isinstance(answer, TargetError) and not fits(types[question], answer):
            raise ValueError(f"the answer to {key} is of another type")
    return found


def _answer_types() -> dict[str, Any]:
    """Return the type of the answer to each question, from the annotations of its method."""
    names = vars(ktype) | vars(machine)
    return {
        question: get_type_hints(method, localns=names)["return"]
        for question, method in vars(_AskedTarget).items()
        if not question.startswith("_")
    }


def _key(question: str, arguments: tuple[object, ...]) -> str:
    """The question as text: ``prototype("vfs_read", "")``; a noun goes by what names it."""
    return f"{question}({', '.join(json.dumps(_name(argument)) for argument in arguments)})"


def _name(argument: object) -> object:
    match argument:
        case KStruct():
            return argument.type_id
        case Binary():
            return argument.path
    return argument
