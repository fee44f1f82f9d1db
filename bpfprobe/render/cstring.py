"""Prints what has to do with text: reading it, comparing it, matching it with a glob."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError
from bpfprobe.model.noun import dataclass
from bpfprobe.model.value import (
    CommText,
    ConstantText,
    GlobText,
    MaskedText,
    Space,
    TextAt,
    TextEquals,
    TextMatches,
)
from bpfprobe.model.walk import walk
from bpfprobe.render.cvalue import parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.value import Condition
    from bpfprobe.render.cvalue import ValueWriter


@dataclass(frozen=True, slots=True)
class HeldText:
    """A text that was read: C for the place, the length and the fault, and how much room it had."""

    place: str
    length: str
    fault: str
    room: int


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
        self._held: dict[TextAt, HeldText] = {}
        self._tail_text: TextAt | None = None
        self._rooms: dict[TextAt, list[int]] = {}

    def masked(self, condition: MaskedText) -> str:
        """C that is true when each word of the text is under its mask what it is to be."""
        words, read = self._found(condition)
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
        text, read = self._found(condition)
        write = self._values
        states, stars = write.fresh("states"), write.fresh("stars")
        table = parameter(condition.offset + 16, "byte")
        write.line(f"s64 {states} = {parameter(condition.offset)};")
        write.line(f"u64 {stars} = {parameter(condition.offset + 8)};")
        seen = condition.room - self._reaches_further(condition)  # the kernel has a NUL behind 1023
        with write.block(f"for (u64 i = 0; i < {seen}; i++)"):
            # Else a short loop is unrolled, in spite of a pragma: nothing is known of i behind it.
            write.line('asm volatile("" : "+r"(i));')
            write.line(f"u64 byte = ((u8 *){text})[i];")
            write.line(f"u64 hit = {states} & {table};")
            write.line(f"{states} = (hit << 1) | (hit & {stars});")
            write.line(f"{states} |= ({states} & {stars}) << 1;")
            with write.block(f"if ({states} <= 0)"):
                write.line("break;")
        if self._reaches_further(condition):
            # More of the text is at hand, and no more is looked at: it ends here.
            with write.block(f"if ({states} > 0)"):
                write.line(f"{states} = ({states} & {parameter(condition.offset + 16)}) << 1;")
        return _as_asked(condition, read, f"{states} < 0")

    def _reaches_further(self, condition: GlobText) -> bool:
        """Whether more of a text has been read than the glob looks at: no NUL ends it there."""
        text = condition.asked.text
        held = self._held.get(text) if isinstance(text, TextAt) else None
        return held is not None and held.room > condition.room

    def in_tail(self, text: TextAt) -> HeldText | None:
        """A text that stands where its capture is to stand; not one that was read elsewhere."""
        return self._held[text] if text == self._tail_text else None

    def hold_in_tail(self, text: TextAt, capacity: int) -> None:
        """Read a text that is captured as well to where its capture is to stand: once for both."""
        self._held[text] = self._read_into(text, "event->tail", capacity, capacity)
        self._tail_text = text

    def expect(self, conditions: object) -> None:
        """All conditions that the program will look at: a text that several share is read once."""
        for node in walk(conditions):
            if isinstance(node, (MaskedText, GlobText)) and isinstance(node.asked.text, TextAt):
                self._rooms.setdefault(node.asked.text, []).append(node.room)

    def need_memory(self, condition: Condition, shared: TextAt | None) -> bool:
        """Whether a text of the condition is read to the event's memory: too long, or shared."""
        texts = {node for node in walk(condition) if isinstance(node, TextAt)}
        return any(
            text == shared or max(self._rooms.get(text, [0])) > self._stack_bytes for text in texts
        )

    def hold(self, conditions: Iterable[MaskedText | GlobText]) -> None:
        """Read those texts of the conditions that others look at as well, for good."""
        long = [text for text, rooms in self._rooms.items() if max(rooms) > self._stack_bytes]
        for condition in conditions:
            text = condition.asked.text
            if not isinstance(text, TextAt) or text in self._held:
                continue
            rooms = self._rooms.get(text, [])
            if len(rooms) > 1 and (text not in long or len(long) == 1):
                self._held[text] = self._read_apart(text, max(rooms))

    def _found(self, condition: MaskedText | GlobText) -> tuple[str, str]:
        """C for where the text is, and for whether it could be read; reads it if need be."""
        text = condition.asked.text
        if isinstance(text, CommText):
            return self._values.comm(), ""
        if not isinstance(text, TextAt):
            raise BpfprobeError("constant text reached the printer of comparisons")
        held = self._held.get(text)
        if held is None or held.room < condition.room:
            held = self._read_apart(text, condition.room)
        fault = f" && !({held.fault})" if held.fault else ""
        return held.place, f"{held.length} > 0{fault}"

    def _read_apart(self, text: TextAt, room: int) -> HeldText:
        size = min(room, text.most) if text.size else room
        if room > self._stack_bytes:
            if room > self._scratch_bytes:
                raise BpfprobeError("the plan left too little scratch for a comparison")
            return self._read_into(text, self._scratch, room, size)
        name = self._values.fresh("text")
        self._values.line(f"u64 {name}[{room // 8}];")
        if size < room:
            self._values.line(f"{name}[{size // 8}] = 0;")
        return self._read_into(text, name, room, size)

    def _read_into(self, text: TextAt, place: str, room: int, size: int) -> HeldText:
        pointer = self._values.value(text.pointer)
        length = self._values.fresh("length")
        self._values.line(
            f"long {length} = {read_string(text.space, place, str(size), pointer.text)};"
        )
        return HeldText(place, length, pointer.fault, room)


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
    if space is Space.USER:
        return f"read_user_str({to}, {size}, {pointer})"
    return f"probe_read_kernel_str({to}, {size}, (void *)({pointer}))"


def _as_asked(condition: MaskedText | GlobText, read: str, fits: str) -> str:
    """A text that could not be read is neither equal nor different."""
    test = f"!({fits})" if condition.asked.negated else fits
    return f"({read} && {test})" if read else f"({test})"
