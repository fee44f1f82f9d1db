"""Prints what has to do with text: reading it, comparing it, matching it with a glob."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError
from bpfprobe.model.value import CommText, ConstantText, Space, TextAt, TextEquals, TextMatches
from bpfprobe.render.cvalue import parameter

if TYPE_CHECKING:
    from bpfprobe.model.value import GlobText, MaskedText
    from bpfprobe.render.cvalue import ValueWriter

COMM_BYTES = 16


class StringWriter:
    """Writes comparisons of text into a program.

    ``scratch`` is C for memory of ``scratch_bytes`` that holds what is too long for the stack.
    """

    def __init__(
        self, values: ValueWriter, *, stack_bytes: int, scratch: str, scratch_bytes: int
    ) -> None:
        self._values = values
        self._stack_bytes = stack_bytes
        self._scratch = scratch
        self._scratch_bytes = scratch_bytes

    def masked(self, condition: MaskedText) -> str:
        """C that is true when each word of the text is under its mask what it is to be."""
        words, read = self._read(condition)
        tests = []
        for at in range(condition.room // 8):
            mask = parameter(condition.offset + 16 * at)
            word = parameter(condition.offset + 16 * at + 8)
            tests.append(f"(((u64 *){words})[{at}] & {mask}) == {word}")
        return _as_asked(condition, read, f"({' && '.join(tests)})")

    def glob(self, condition: GlobText) -> str:
        """C that is true when a loop gets through, which follows all ways of the pattern at once.

        See `bpfprobe.plan.patterns` for the bits.
        """
        text, read = self._read(condition)
        write = self._values
        states, stars = write.fresh("states"), write.fresh("stars")
        table = parameter(condition.offset + 16, "byte")
        write.line(f"s64 {states} = {parameter(condition.offset)};")
        write.line(f"u64 {stars} = {parameter(condition.offset + 8)};")
        write.line("#pragma clang loop unroll(disable)")
        with write.block(f"for (u32 i = 0; i < {condition.room}; i++)"):
            write.line(f"u64 byte = ((u8 *){text})[i];")
            write.line(f"u64 hit = {states} & {table};")
            write.line(f"{states} = (hit << 1) | (hit & {stars});")
            write.line(f"{states} |= ({states} & {stars}) << 1;")
            with write.block(f"if ({states} <= 0)"):
                write.line("break;")
        return _as_asked(condition, read, f"{states} < 0")

    def _read(self, condition: MaskedText | GlobText) -> tuple[str, str]:
        """Read the text; C for where it is, and for whether that worked."""
        text = condition.asked.text
        if isinstance(text, CommText):
            name = self._values.fresh("comm")
            self._values.line(f"u64 {name}[{COMM_BYTES // 8}];")
            self._values.line(f"bpf_get_current_comm({name}, sizeof({name}));")
            return name, ""
        if not isinstance(text, TextAt):
            raise BpfprobeError("constant text reached the printer of comparisons")
        pointer = self._values.value(text.pointer)
        length = self._values.fresh("length")
        size = min(condition.room, text.size) if text.size else condition.room
        if condition.room <= self._stack_bytes:
            name = self._values.fresh("text")
            self._values.line(f"u64 {name}[{condition.room // 8}];")
            if size < condition.room:
                self._values.line(f"{name}[{size // 8}] = 0;")
        else:
            name = self._scratch
            if condition.room > self._scratch_bytes:
                raise BpfprobeError("the plan left too little scratch for a comparison")
        self._values.line(
            f"long {length} = {read_string(text.space, name, str(size), pointer.text)};"
        )
        fault = f" && !({pointer.fault})" if pointer.fault else ""
        return name, f"{length} > 0{fault}"


def known_already(condition: TextEquals | TextMatches) -> bool:
    """Whether text that is the same at every hit is what it is compared with."""
    text = condition.text
    if not isinstance(condition, TextEquals) or not isinstance(text, ConstantText):
        raise BpfprobeError("text that the program is not handed reached the printer")
    return (text.value == condition.literal) != condition.negated


def read_string(space: Space, to: str, size: str, pointer: str) -> str:
    """A call that copies a string up to its NUL and gives its length with it, or below 0."""
    if space is Space.ANY:
        return f"read_any_str({to}, {size}, {pointer})"
    helper = "bpf_probe_read_user_str" if space is Space.USER else "bpf_probe_read_kernel_str"
    return f"{helper}({to}, {size}, (void *)({pointer}))"


def _as_asked(condition: MaskedText | GlobText, read: str, fits: str) -> str:
    """A text that could not be read is neither equal nor different."""
    test = f"!({fits})" if condition.asked.negated else fits
    return f"({read} && {test})" if read else f"({test})"
