"""Events as rows for people: a column a field, one line an event, nothing raw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.deliver.escape import escape
from bpfprobe.deliver.event_types import decode_text
from bpfprobe.model.event import of_hit
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.noun import dataclass
from bpfprobe.model.scalar import Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.deliver.front import Front
    from bpfprobe.model.event import Event
    from bpfprobe.model.layout import Field, Layout

_WIDTHS = {1: 4, 2: 6, 4: 11, 8: 20}
_TEXT_WIDTH = 24
_FLOAT_WIDTH = 12


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; ``width`` in characters, 0 for the last, which takes what it needs."""

    title: str
    width: int
    right: bool

    def cell(self, text: str) -> str:
        """The text in the column; what is too long pushes the rest aside and is not cut."""
        return text.rjust(self.width) if self.right else text.ljust(self.width)


class Table:
    """Rows of one probe's events in columns, or of several probes' as ``name=value``."""

    def __init__(self, layouts: Sequence[Layout], front: Front | None = None) -> None:
        self._front = front
        self._several = len(layouts) > 1
        self._fields = _columns_of(layouts[0])
        self.has_stacks = any(
            f.kind is FieldKind.STACK for layout in layouts for f in layout.fields
        )
        """Whether events have stacks, which are no columns: see `bpfprobe.deliver.stack`."""
        self._comm = any(_has_comm(layout) for layout in layouts)
        self._columns = [Column("PID", 7, right=True)]
        if self._comm:
            self._columns.append(Column("COMM", 16, right=False))
        if self._several:
            self._columns += [Column("EVENT", 16, right=False), Column("VALUES", 0, right=False)]
        else:
            self._columns += [_column(f) for f in self._fields]
        last = self._columns[-1]
        if not last.right:
            self._columns[-1] = Column(last.title, 0, right=False)

    def header(self) -> str:
        """The titles."""
        front = self._front.titles() if self._front else []
        return self._line(front, [column.title for column in self._columns])

    def row(self, event: Event) -> str:
        """An event."""
        front = self._front.cells(event) if self._front else []
        cells = [str(of_hit(event, "pid"))]
        if self._comm:
            layout = event.layout
            cells.append(shown(event, layout.field_of_hit("comm")) if _has_comm(layout) else "")
        if not self._several:
            return self._line(front, cells + [shown(event, field) for field in self._fields])
        fields = _columns_of(event.layout)
        values = " ".join(f"{f.name}={shown(event, f, quoted=True)}" for f in fields)
        return self._line(front, [*cells, event.probe, values])

    def _line(self, front: list[str], cells: Sequence[str]) -> str:
        pairs = zip(self._columns, cells, strict=True)
        return " ".join(front + [column.cell(cell) for column, cell in pairs]).rstrip()


def _columns_of(layout: Layout) -> list[Field]:
    return [field for field in layout.captured() if field.kind is not FieldKind.STACK]


def _has_comm(layout: Layout) -> bool:
    return any(field.name in ("comm", "_comm") for field in layout.fields)


def shown(event: Event, field: Field, *, quoted: bool = False) -> str:
    """A field's value as text on one line; ``(fault)`` where there is none, ``...`` where cut."""
    value = getattr(event, field.name)
    if value is None:
        return "(fault)"
    more = "..." if field.name in event.truncated else ""
    if isinstance(value, bytes):
        return _in_quotes(escape(decode_text(value))) + more
    if isinstance(value, str):
        return (_in_quotes(escape(value)) if quoted else escape(value)) + more
    if isinstance(value, tuple):
        if field.kind is FieldKind.STRINGS:
            return " ".join(_argument(part) for part in value) + more
        if field.kind is FieldKind.TEXTS:
            texts = ("(fault)" if part is None else _in_quotes(escape(part)) for part in value)
            return "{" + ",".join(texts) + "}" + more
        return "{" + ",".join(_number(part, field) for part in value) + "}"
    return _number(value, field)


def _argument(text: str) -> str:
    """An argument of a program, in quotes where it would be mistaken for several or none."""
    safe = escape(text)
    if safe and not any(char in safe for char in " '\"\\"):
        return safe
    return _in_quotes(safe)


def _in_quotes(safe: str) -> str:
    return '"' + safe.replace('"', '\\"') + '"'


def _number(value: Any, field: Field) -> str:
    if field.style is Style.HEX:
        return f"{value:#x}"
    if field.style is Style.FLOAT and field.size == 4 * field.count:
        return f"{value:.7g}"  # what a float of four bytes holds; Python's own has twice as many
    if field.style is Style.BOOLEAN:
        return "true" if value else "false"
    if field.style is Style.CHARACTER:
        char = value if isinstance(value, str) else chr(value)
        return f"'{escape(char)}'"
    return str(value)


def _column(field: Field) -> Column:
    title = field.name.upper()
    if field.kind is FieldKind.FLOAT:
        return Column(title, max(len(title), _FLOAT_WIDTH), right=True)
    if field.kind is FieldKind.INTEGER:
        return Column(title, max(len(title), _WIDTHS[field.size]), right=True)
    if field.kind in (FieldKind.BOOLEAN, FieldKind.CHARACTER):
        return Column(title, max(len(title), 5), right=False)
    width = 16 if field.kind in (FieldKind.COMM, FieldKind.CONSTANT) else _TEXT_WIDTH
    return Column(title, max(len(title), width), right=False)
