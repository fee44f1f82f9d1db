"""Nouns of the model to bytes and back, as the annotations of their fields say.

So a field that is added to a noun is written with the others, and one of a type that is not known
here cannot be forgotten: nothing is written then. What is read has the types that the annotations
ask for.
"""

from __future__ import annotations

from bpfprobe.model.description import Description
from bpfprobe.model.layout import Field, FieldKind, Layout
from bpfprobe.model.object import (
    AttachType,
    Bytecode,
    MapDef,
    MapKind,
    Object,
    ProbeWiring,
    ProgramDef,
    ProgramKind,
    Wiring,
)
from bpfprobe.model.object_file import ObjectFile, Variant
from bpfprobe.model.premise import Premise, PremiseKind
from bpfprobe.model.scalar import Style
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite, UserSites
from bpfprobe.store.wire import damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import Enum
    from typing import Any

    from bpfprobe.store.wire import Reader, Writer

_ENUMS: dict[str, type[Enum]] = {
    kind.__name__: kind
    for kind in (AttachType, FieldKind, MapKind, PremiseKind, ProgramKind, Style)
}
_NOUNS: dict[str, type[Any]] = {
    noun.__name__: noun
    for noun in (
        Bytecode, Description, Field, KernelSite, Layout, MapDef, Object, ObjectFile, Premise,
        ProbeWiring, ProgramDef, TracepointSite, UserSite, UserSites, Variant, Wiring,
    )
}  # fmt: skip
_UNIONS = {"Site": ("KernelSite", "UserSite", "UserSites", "TracepointSite")}
_SAME_AS = {"FileOffset": "int"}
_NUMBERS: dict[str, type[Any]] = {"int": int, "bool": bool}
_ROW, _ROW_END, _OR_NONE = "tuple[", "]", " | None"


def write_noun(writer: Writer, noun: Any) -> None:
    """Every field of a noun. Raises TypeError for one that this cannot write."""
    for name, annotation in _fields(type(noun)):
        _write(writer, annotation, getattr(noun, name))


def read_noun(reader: Reader, noun: type[Any]) -> Any:
    """A noun of that class. Raises `ObjectError` (DAMAGED)."""
    return noun(*[_read(reader, annotation) for _, annotation in _fields(noun)])


def _fields(noun: type[Any]) -> list[tuple[str, str]]:
    return list(noun.__annotations__.items())


def _write(writer: Writer, annotation: str, value: Any) -> None:
    annotation = _SAME_AS.get(annotation, annotation)
    if annotation.endswith(_OR_NONE):
        writer.number(value is not None)
        if value is not None:
            _write(writer, annotation.removesuffix(_OR_NONE), value)
    elif annotation in _NUMBERS and type(value) is _NUMBERS[annotation]:
        writer.number(value)
    elif annotation == "str" and type(value) is str:
        writer.text(value)
    elif annotation == "bytes" and type(value) is bytes:
        writer.data(value)
    elif annotation in _ENUMS and type(value) is _ENUMS[annotation]:
        writer.text(value.name)
    elif annotation in _UNIONS and type(value).__name__ in _UNIONS[annotation]:
        writer.text(type(value).__name__)
        write_noun(writer, value)
    elif annotation in _NOUNS and type(value) is _NOUNS[annotation]:
        write_noun(writer, value)
    elif annotation.startswith(_ROW) and type(value) is tuple:
        _write_tuple(writer, annotation, value)
    else:
        raise TypeError(f"a {type(value).__name__} cannot be written as {annotation}")


def _write_tuple(writer: Writer, annotation: str, value: tuple[Any, ...]) -> None:
    kinds, is_row = _kinds(annotation)
    if is_row:
        writer.row(value, lambda item: _write(writer, kinds[0], item))
        return
    for kind, item in zip(kinds, value, strict=True):
        _write(writer, kind, item)


def _kinds(annotation: str) -> tuple[list[str], bool]:
    """The kinds of a tuple's items, and whether there is any number of the first."""
    kinds = annotation.removeprefix(_ROW).removesuffix(_ROW_END).rsplit(", ", 1)
    if kinds[-1] == "...":
        return kinds[:1], True
    return annotation.removeprefix(_ROW).removesuffix(_ROW_END).split(", "), False


def _read(reader: Reader, annotation: str) -> Any:
    annotation = _SAME_AS.get(annotation, annotation)
    if annotation == "int":
        return reader.number()
    if annotation == "str":
        return reader.text()
    if annotation == "bytes":
        return reader.data()
    if annotation == "bool":
        return bool(reader.number(0, 1))
    if annotation.endswith(_OR_NONE):
        there = reader.number(0, 1)
        return _read(reader, annotation.removesuffix(_OR_NONE)) if there else None
    if annotation in _ENUMS:
        name = reader.text()
        if name not in _ENUMS[annotation].__members__:
            raise damaged(f"there is no {annotation} {name!r}")
        return _ENUMS[annotation][name]
    if annotation in _UNIONS:
        name = reader.text()
        if name not in _UNIONS[annotation]:
            raise damaged(f"{name!r} is no {annotation}")
        return read_noun(reader, _NOUNS[name])
    if annotation in _NOUNS:
        return read_noun(reader, _NOUNS[annotation])
    kinds, is_row = _kinds(annotation)
    if is_row:
        return reader.row(lambda: _read(reader, kinds[0]))
    return tuple(_read(reader, kind) for kind in kinds)
