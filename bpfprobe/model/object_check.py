"""Whether an object that was read agrees with itself, so that all that uses it may rely on that."""

from __future__ import annotations

from bpfprobe.model.layout import MARKS_PER_WORD, FieldKind
from bpfprobe.model.scalar import Style
from bpfprobe.model.site import UserSites

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.layout import Field, Layout
    from bpfprobe.model.object import Bytecode, Object, ProbeWiring, Wiring

_MAX_RECORD_BYTES = 1 << 16  # a place in the tail has 16 bits
_INSTRUCTION_BYTES = 8
_OF_EVERY_HIT = ("probe", "time", "pid", "tid", "cpu")
_PLACES = (FieldKind.STRING, FieldKind.STRINGS, FieldKind.BYTES, FieldKind.STACK)
_WITHOUT_SIGN = (FieldKind.CHARACTER, FieldKind.NAME, FieldKind.SYMBOL, FieldKind.SYMBOL_TEXT)


def object_fault(made: Object) -> str:
    """Return what contradicts itself in an object, empty where nothing does."""
    programs = {code.program.name for code in made.programs}
    for probe in made.wiring.probes:
        fault = layout_fault(probe.layout) or _wiring_fault(probe, programs, len(made.wiring.maps))
        if fault:
            return f"{probe.layout.name}: {fault}"
    return programs_fault(made.programs) or _maps_fault(made.wiring)


def programs_fault(programs: Sequence[Bytecode]) -> str:
    """Return why these are not programs, empty where they may be."""
    for code in programs:
        size = len(code.instructions)
        if not size or size % _INSTRUCTION_BYTES:
            return f"a program of {size} bytes"
        if code.lines and len(code.lines) * _INSTRUCTION_BYTES != size:
            return "lines that are not those of the instructions"
    return ""


def layout_fault(layout: Layout) -> str:
    """Return why no record can be of this layout, empty where one can."""
    names = [field.name for field in layout.fields]
    if not all(name.isidentifier() for name in (layout.name, *names)):
        return "a name that is not one"
    if len(set(names)) != len(names):
        return "a field that is there twice"
    of_hit = {f"_{name}" if f"_{name}" in names else name for name in _OF_EVERY_HIT}
    numbers = {f.name for f in layout.fields if f.kind is FieldKind.INTEGER and f.mark < 0}
    if not of_hit <= numbers:
        return "no number where every hit has one"
    if not 0 <= layout.head_size < _MAX_RECORD_BYTES or not 0 <= layout.tail_size < 1 << 20:
        return f"records of {layout.head_size} and {layout.tail_size} bytes"
    if not layout.is_variable and any(field.in_tail for field in layout.fields):
        return "a field in a tail that has no room"
    taken = [(offset, 4) for offset in layout.mark_offsets]
    for field in layout.fields:
        if field.kind is not FieldKind.CONSTANT:
            if not _is_sound(field, MARKS_PER_WORD * len(layout.mark_offsets)):
                return f"{field.name} is a field that there cannot be"
            taken.append((field.offset, field.size))
    end = 0
    for offset, size in sorted(taken):
        if offset < end:
            return "fields that overlap"
        end = offset + size
    return "" if end <= layout.head_size else "a field beyond the head"


def _is_sound(field: Field, marks: int) -> bool:
    kind, size, count = field.kind, field.size, field.count
    if not -1 <= field.mark < marks or not 0 < size < _MAX_RECORD_BYTES or field.capacity < 0:
        return False
    if kind in _PLACES:
        return (size, count, field.style) == (4, 1, Style.DECIMAL) and not field.signed
    if not 0 < count <= size or size % count:
        return False
    element = size // count
    if kind is FieldKind.TEXTS:
        return element == 4
    if kind is FieldKind.COMM:
        return count == 1 and field.mark < 0
    if kind is not FieldKind.ARRAY and count != 1:
        return False
    if field.style is Style.FLOAT or kind is FieldKind.FLOAT:
        has_floats = field.style is Style.FLOAT and kind in (FieldKind.FLOAT, FieldKind.ARRAY)
        return has_floats and element in (4, 8) and not field.bit_size
    if (field.signed and kind in _WITHOUT_SIGN) or (kind is FieldKind.CHARACTER and size != 1):
        return False
    if field.style is Style.CHARACTER and (field.signed or element != 1):
        return False
    bits = (field.bit_offset, field.bit_size, 8 * element - field.bit_offset - field.bit_size)
    return element in (1, 2, 4, 8) and min(bits) >= 0


def _wiring_fault(probe: ProbeWiring, programs: set[str], maps: int) -> str:
    used = {probe.program, *(program for program, _ in probe.more)}
    if probe.entry_site is not None:
        used.add(probe.entry_program)
    if not used <= programs:
        return "a program that is not there"
    if not -1 <= probe.inflight_map < maps:
        return "a map that is not there"
    for site in (probe.site, probe.entry_site, *(site for _, site in probe.more)):
        if isinstance(site, UserSites) and len(site.offsets) != len(site.names):
            return "places and names that do not go together"
    return ""


def _maps_fault(wiring: Wiring) -> str:
    for each in wiring.maps:
        sizes = (each.key_size, each.value_size, each.max_entries, each.flags)
        if not all(0 <= size < 1 << 32 for size in sizes) or len(each.initial) > each.value_size:
            return "a map that there cannot be"
    if not -1 <= wiring.parameter_map < len(wiring.maps):
        return "parameters in a map that is not there"
    block = b"" if wiring.parameter_map < 0 else wiring.maps[wiring.parameter_map].initial
    if any(not 0 <= offset <= len(block) - 8 for _, offset in wiring.option_offsets):
        return "an option that has no place"
    buffer = (wiring.buffer_bytes, wiring.wake_bytes, wiring.page_size)
    return "" if all(0 < size < 1 << 40 for size in buffer) else "a buffer that there cannot be"
