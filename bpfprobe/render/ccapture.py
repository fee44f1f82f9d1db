"""Prints captures as C: each value into its field of the event."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bpfprobe.model.layout import MARKS_PER_WORD, Field, FieldKind, Layout
from bpfprobe.model.stack import StackValue
from bpfprobe.model.value import (
    ArgumentVector,
    ArrayValue,
    BytesAt,
    CommText,
    ConstantText,
    Load,
    PlaceNumber,
    PlaceText,
    Space,
    TextArray,
    TextAt,
)
from bpfprobe.model.walk import walk
from bpfprobe.render.cstack import ADDRESS_BYTES, add_caller, caller_word
from bpfprobe.render.cstring import read_string
from bpfprobe.render.cvalue import READERS, read_memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.plan import RangeRead
    from bpfprobe.model.value import Capturable
    from bpfprobe.render.ccondition import ConditionWriter
    from bpfprobe.render.cvalue import ValueWriter

MAX_ARGUMENTS = 128
"""How many strings of an argument vector are followed; what is left is marked as cut.

The verifier walks every turn of the loop and compares it with all that it has walked.
"""


class CaptureWriter:
    """Writes captures into a program; ``event`` points to the record, ``used`` counts its tail."""

    def __init__(
        self,
        values: ValueWriter,
        conditions: ConditionWriter,
        layout: Layout,
        captured: Iterable[Capturable],
    ) -> None:
        self._values = values
        self._conditions = conditions
        self._strings = conditions.strings
        self._layout = layout
        loads = (node for node in walk(tuple(captured)) if isinstance(node, Load))
        self._uses = Counter(loads)
        self._taken: dict[TextAt, Field] = {}
        self._most_used = 0

    def capture(self, field: Field, value: Capturable) -> None:
        """Put a value into its field."""
        match value:
            case ConstantText():
                return
            case PlaceText():
                place = self._values.value(PlaceNumber())
                self._values.line(f"event->{c_field(field)} = {place.text};")
            case CommText():
                self._values.put_comm(f"event->{c_field(field)}", reused=field.offset % 8 == 0)
            case TextAt():
                self._text(field, value)
            case ArrayValue():
                self._array(field, value)
            case BytesAt():
                self._bytes(field, value)
            case TextArray():
                self._texts(field, value)
            case ArgumentVector():
                self._vector(field, value)
            case StackValue():
                self._stack(field, value)
            case Load() if self._is_read_once(value):
                self._mark_fault(field, self._values.load_into(f"event->{c_field(field)}", value))
            case _:
                seen = self._values.value(value)
                self._values.line(f"event->{c_field(field)} = {seen.text};")
                if seen.fault:
                    self._mark_fault(field, seen.fault)

    def read_range(self, read: RangeRead) -> None:
        """Put members of a struct into their fields, with one read."""
        fields = [self._layout.field(name) for name in read.names]
        fault = self._values.range_into(f"event->{c_field(fields[0])}", read)
        marks = Counter[int]()
        for field in fields:
            word, bit = divmod(field.mark, MARKS_PER_WORD)
            marks[word] += 1 << bit
        with self._values.block(f"if ({fault})"):
            for word, bits in marks.items():
                self._values.line(f"event->marks{word} |= {bits}U;")

    def _is_read_once(self, value: Load) -> bool:
        """Whether nothing else needs the number, so that it can be read into its field."""
        return not value.bit_size and self._uses[value] == 1 and not self._values.is_known(value)

    def _text(self, field: Field, value: TextAt) -> None:
        write, size = self._values, field.capacity
        same = self._taken.setdefault(value, field)
        if same is not field:
            write.line(f"event->{c_field(field)} = event->{c_field(same)};")
            self._mark_alike(field, same)
            return
        pointer = write.value(value.pointer)
        held = self._strings.in_tail(value)
        if held is not None:
            length = held.length
        else:
            length = write.fresh("length")
            read = read_string(value.space, "&event->tail[used]", str(size), pointer.text)
            write.line(f"long {length} = {read};")
        # The NUL is dropped: the length says where the text ends.
        text_bytes = write.fresh("bytes")
        write.line(f"u64 {text_bytes} = {length} - 1;")
        failed = f"{length} <= 0 || {pointer.fault}" if pointer.fault else f"{length} <= 0"
        with write.block(f"if ({failed})"):
            self._mark_fault(field, "1")
            write.line(f"{text_bytes} = 0;")
            write.line("branched();")
        if not value.size or value.most > size:
            with write.block(f"if ({length} == {size})"):
                self._mark_longer(field, value.space, f"{pointer.text} + {size - 1}")
        self._locate(field, text_bytes)
        write.line(f"used += {text_bytes};")
        self._bound_used(field)

    def _texts(self, field: Field, value: TextArray) -> None:
        """Each string behind the one before it; one that cannot be read has no place at all."""
        write = self._values
        first = write.value(value.pointer)
        pointed = Space.KERNEL if value.pointers is Space.ANY else value.pointers
        each = field.capacity // value.count
        name, head = c_field(field), self._layout.head_size
        for number in range(value.count):
            with write.block(""):
                pointer, length = write.fresh("pointer"), write.fresh("length")
                place = f"(void *)({first.text} + {8 * number})"
                write.line(f"u64 {pointer} = 0;")
                write.line(
                    f"long {length} = {READERS[pointed]}(&{pointer}, sizeof({pointer}), {place});"
                )
                with write.block(f"if (!{length})"):
                    text = read_string(value.space, "&event->tail[used]", str(each), pointer)
                    write.line(f"{length} = {text};")
                failed = f"{length} <= 0 || {first.fault}" if first.fault else f"{length} <= 0"
                write.line(f"event->{name}[{number}] = 0;")
                with write.block(f"if ({failed})"):
                    self._mark_fault(field, "1")
                    write.line("branched();")
                with write.block("else"):
                    with write.block(f"if ({length} == {each})"):
                        self._mark_longer(field, value.space, f"{pointer} + {each - 1}")
                    write.line(f"event->{name}[{number}] = ({length} - 1) << 16 | ({head} + used);")
                    write.line(f"used += {length} - 1;")
                    write.line("branched();")
            self._most_used += each
            write.line(f"bound(used, {self._most_used});")

    def _mark_longer(self, field: Field, space: Space, place: str) -> None:
        """All room was used: the text was cut unless its NUL stands right where the room ends."""
        write = self._values
        write.line("u8 next = 0;")
        if space is Space.ANY:
            with write.block(f"if ((s64)({place}) < 0)"):
                write.line(f"probe_read_kernel(&next, 1, (void *)({place}));")
            with write.block("else"):
                write.line(f"probe_read_user(&next, 1, (void *)({place}));")
        else:
            write.line(f"{READERS[space]}(&next, 1, (void *)({place}));")
        with write.block("if (next)"):
            self._mark_truncated(field)

    def _array(self, field: Field, value: ArrayValue) -> None:
        pointer = self._values.value(value.pointer)
        fault = self._values.fresh("fault")
        earlier = f"{pointer.fault} | " if pointer.fault else ""
        name = c_field(field)
        space = Space.KERNEL if value.space is Space.ANY else value.space
        self._values.line(
            f"long {fault} = {earlier}{READERS[space]}(event->{name}, sizeof(event->{name}), "
            f"(void *)({pointer.text}));"
        )
        self._mark_fault(field, fault)

    def _bytes(self, field: Field, value: BytesAt) -> None:
        write = self._values
        pointer, asked = write.value(value.pointer), write.value(value.length)
        length = write.fresh("length")
        write.line(f"u64 {length} = {asked.text};")
        if value.length.type.signed:
            with write.block(f"if ((s64){length} < 0)"):
                write.line(f"{length} = 0;")
                write.line("branched();")
        with write.block(f"if ({length} > {field.capacity})"):
            write.line(f"{length} = {field.capacity};")
            self._mark_truncated(field)
            write.line("branched();")
        write.line(f"bound({length}, {field.capacity});")
        read = read_memory(value.space, "&event->tail[used]", length, pointer.text)
        failed = " || ".join(part for part in (pointer.fault, asked.fault, read) if part)
        with write.block(f"if ({failed})"):
            self._mark_fault(field, "1")
            write.line(f"{length} = 0;")
            write.line("branched();")
        self._locate(field, length)
        write.line(f"used += {length};")
        self._bound_used(field)

    def _stack(self, field: Field, value: StackValue) -> None:
        write = self._values
        length = write.fresh("length")
        flags = "BPF_F_USER_STACK" if value.user else "0"
        caller = caller_word(write, value)
        # The chain stands behind room for one address more where its second may have to be added.
        room = ADDRESS_BYTES if caller else 0
        place = f"&event->tail[used + {room}]" if room else "&event->tail[used]"
        most = field.capacity - room
        write.line(f"long {length} = bpf_get_stack(ctx, {place}, {most}, {flags});")
        with write.block(f"if ({length} < 0)"):
            self._mark_fault(field, "1")
            write.line(f"{length} = 0;")
            write.line("branched();")
        with write.block(f"if ({length} == {most})"):
            self._mark_truncated(field)
        if caller:
            add_caller(write, value, caller, length)
            if caller.fault:
                with write.block(f"if ({caller.fault})"):
                    self._mark_truncated(field)
        self._locate(field, length)
        write.line(f"used += {length};")
        self._bound_used(field)

    def _vector(self, field: Field, value: ArgumentVector) -> None:
        write = self._values
        length = write.fresh("length")
        write.line(f"u64 {length} = 0;")
        if value.vector is None:
            self._running_vector(field, value, length)
        elif value.replaced is None:
            self._followed_vector(field, value, length)
        else:
            with write.block(f"if ({self._conditions.condition(value.replaced)})"):
                self._running_vector(field, value, length)
            with write.block("else"):
                self._followed_vector(field, value, length)
        self._locate(field, length)
        write.line(f"used += {length};")
        self._bound_used(field)

    def _running_vector(self, field: Field, value: ArgumentVector, length: str) -> None:
        """As the kernel laid the strings out in the program that runs, in one read."""
        write = self._values
        start, end = write.value(value.start), write.value(value.end)
        fault = " | ".join(part for part in (start.fault, end.fault) if part) or "0"
        write.line(f"{length} = {end.text} - {start.text};")
        with write.block(f"if ({length} > {field.capacity})"):
            write.line(f"{length} = {field.capacity};")
            self._mark_truncated(field)
            write.line("branched();")
        write.line(f"bound({length}, {field.capacity});")
        read = f"probe_read_user(&event->tail[used], {length}, (void *)({start.text}))"
        with write.block(f"if (({fault}) || {read})"):
            self._mark_fault(field, "1")
            write.line(f"{length} = 0;")
            write.line("branched();")

    def _followed_vector(self, field: Field, value: ArgumentVector, length: str) -> None:
        """By the pointers that the caller passed, one string after the other."""
        write = self._values
        assert value.vector is not None
        vector = write.value(value.vector)
        slice_bytes = max(field.capacity // 4, 1)
        write.line("u64 pointer = 0;")
        write.line("long unread = 0;")
        write.line("#pragma clang loop unroll(disable)")
        with write.block(f"for (u32 i = 0; i < {MAX_ARGUMENTS}; i++)"):
            place = f"(void *)({vector.text} + 8 * i)"
            write.line(f"unread = probe_read_user(&pointer, sizeof(pointer), {place});")
            with write.block("if (!pointer)"):
                write.line("break;")
            text = f"&event->tail[used + {length}]"
            write.line(f"long bytes = probe_read_user_str({text}, {slice_bytes}, (void *)pointer);")
            with write.block("if (bytes <= 0)"):
                write.line("break;")
            write.line(f"{length} += bytes;")
            with write.block(f"if (bytes == {slice_bytes} || {length} >= {field.capacity})"):
                write.line("break;")
        # The vector has been followed to its end when the last pointer read was null.
        with write.block("if (pointer || unread)"):
            self._mark_truncated(field)
        with write.block(f"if (unread && !{length})"):
            self._mark_fault(field, "1")
        write.line(f"bound({length}, {field.capacity});")

    def _bound_used(self, field: Field) -> None:
        self._most_used += field.capacity
        self._values.line(f"bound(used, {self._most_used});")

    def _locate(self, field: Field, length: str) -> None:
        head = self._layout.head_size
        write = self._values
        write.line(f"event->{c_field(field)} = ({length} << 16) | ({head} + used);")

    def _mark_fault(self, field: Field, fault: str) -> None:
        """Note that a value could not be read; what is noted is in memory, so paths stay alike."""
        word, bit = divmod(field.mark, MARKS_PER_WORD)
        mark = f"event->marks{word} |= {1 << bit}U;"
        if fault == "1":
            self._values.line(mark)
            return
        with self._values.block(f"if ({fault})"):
            self._values.line(mark)

    def _mark_alike(self, field: Field, same: Field) -> None:
        word, bit = divmod(field.mark, MARKS_PER_WORD)
        word_of, bit_of = divmod(same.mark, MARKS_PER_WORD)
        both = f"{1 << MARKS_PER_WORD | 1:#x}U"
        marks = f"event->marks{word_of} >> {bit_of} & {both}"
        self._values.line(f"event->marks{word} |= ({marks}) << {bit};")

    def _mark_truncated(self, field: Field) -> None:
        word, bit = divmod(field.mark, MARKS_PER_WORD)
        self._values.line(f"event->marks{word} |= {1 << bit + MARKS_PER_WORD}U;")


def c_field(field: Field) -> str:
    """The field's name in C; a prefix keeps it from being a word of the language."""
    return f"f_{field.name}"


def struct_lines(layout: Layout, name: str, *, behind: str = "") -> list[str]:
    """The C struct of a record, with its size and every offset asserted."""
    lines = [f"struct {name} {{"]
    entries = [(offset, f"u32 marks{n}") for n, offset in enumerate(layout.mark_offsets)]
    fields = [f for f in layout.fields if f.kind is not FieldKind.CONSTANT]
    entries += [(field.offset, _declaration(field)) for field in fields]
    at = 0
    for number, (offset, text) in enumerate(sorted(entries)):
        if offset > at:
            lines.append(f"    u8 pad{number}[{offset - at}];")
        lines.append(f"    {text};")
        at = offset + _bytes(layout, offset)
    if layout.head_size > at:
        lines.append(f"    u8 pad[{layout.head_size - at}];")
    lines.append(f"    u8 tail[{layout.tail_size}];" if layout.tail_size else "")
    lines += [behind] if behind else []
    lines = [line for line in lines if line] + ["};"]
    for field in fields:
        lines.append(
            f"_Static_assert(__builtin_offsetof(struct {name}, {_member(field)}) == "
            f'{field.offset}, "{_member(field)} moved");'
        )
    return lines


_HEADER_BYTES = 24


def _member(field: Field) -> str:
    in_header = field.offset < _HEADER_BYTES and field.kind is FieldKind.INTEGER
    return field.name.removeprefix("_") if in_header else c_field(field)


def _declaration(field: Field) -> str:
    name = _member(field)
    if field.kind is FieldKind.COMM:
        return f"char {name}[{field.size}]"
    if field.kind in (FieldKind.ARRAY, FieldKind.TEXTS):
        kind = f"{'s' if field.signed else 'u'}{field.size // field.count * 8}"
        return f"{kind} {name}[{field.count}]"
    return f"{'s' if field.signed else 'u'}{field.size * 8} {name}"


def _bytes(layout: Layout, offset: int) -> int:
    for field in layout.fields:
        if field.offset == offset and field.kind is not FieldKind.CONSTANT:
            return field.size
    return 4
