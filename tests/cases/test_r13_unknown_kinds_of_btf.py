"""A kind of type that is newer than libbpf and this program costs what is of it, and no more."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.errors import MissingLibraryError, SpecError, TargetError
from bpfprobe.model.ktype import KInt, KOther, KPointer
from bpfprobe.pipeline import describe
from bpfprobe.target.btf import BtfTypes
from bpfprobe.target.btf_file import BtfFileTarget
from bpfprobe.target.libbpf_btf import Kind, RawBtf, load_libbpf
from tests.btf_bytes import SIGNED, BtfFile, layout_of

if TYPE_CHECKING:
    from pathlib import Path

try:
    load_libbpf()
except MissingLibraryError as missing:
    pytest.skip(f"needs libbpf: {missing}", allow_module_level=True)

NEW, WIDE = 21, 33
"""Kinds that are not there: of the second, five bits of seven are those of an integer."""
LAYOUT = layout_of({NEW: (8, 4), WIDE: (4, 0)})


def kernel() -> BtfFile:
    """New kinds before, between and after what is known, of every size that a kind may have."""
    file = BtfFile()
    file.add(NEW, "first", 0, 1, 2)  # type: ignore[arg-type]  # a kind that the enumeration lacks
    int_ = file.integer("int", 4, SIGNED)
    new = file.add(NEW, "fresh", 4, 1, 2, 3, 4, 5, vlen=3)  # type: ignore[arg-type]  # as above
    long = file.integer("long int", 8, SIGNED)
    plain = file.add(WIDE, "int", 4, 32)  # type: ignore[arg-type]  # as above
    alias = file.add(Kind.TYPEDEF, "fresh_t", new)
    row = file.add(Kind.ARRAY, "", 0, new, int_, 5)
    struct_ = file.struct(
        "holder",
        48,
        [("before", int_, 0), ("new", new, 32), ("row", row, 64), ("after", long, 320)],
    )
    pointer = file.pointer(alias)
    file.function("by_value", int_, ("a", int_), ("b", alias), ("c", int_))
    file.function("by_pointer", long, ("p", pointer), ("h", file.pointer(struct_)), ("n", int_))
    file.function("whole", int_, ("h", struct_), ("c", int_))
    file.function("returns", plain, ("a", int_))
    file.function("quiet", 0, ("a", int_))
    proto = file.add(NEW, "", int_, 0, 0)  # type: ignore[arg-type]  # as above
    file.add(Kind.FUNC, "of_new_proto", proto)
    file.struct("fresh", 24, [("x", int_, 128)])
    return file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return kernel().write(tmp_path / "vmlinux", LAYOUT)


def test_what_is_known_is_as_without(path: Path) -> None:
    types = BtfTypes.from_file(path)
    pointed = KOther("fresh_t", is_unknown=True)
    by_pointer = types.prototype("by_pointer")
    assert by_pointer is not None
    assert [p.name for p in by_pointer.parameters] == ["p", "h", "n"]
    assert by_pointer.parameters[0].type == KPointer("fresh_t *", pointed)
    assert by_pointer.returns == KInt("long", 8, True)
    holder = types.struct("holder")
    assert holder is not None
    offsets = [(m.name, m.offset) for m in types.members(holder.type_id)]
    assert offsets == [("before", 0), ("new", 4), ("row", 8), ("after", 40)]
    fresh = types.struct("fresh")  # the struct, whatever else has its name
    assert fresh is not None
    assert [(m.name, m.offset) for m in types.members(fresh.type_id)] == [("x", 16)]


def test_what_is_unknown_is_never_void_and_has_no_name_to_be_found_by(path: Path) -> None:
    types = BtfTypes.from_file(path)
    returns = types.prototype("returns")
    assert returns is not None
    assert returns.returns == KOther("unknown_kind_33 int", is_unknown=True)
    assert types.struct("first") is types.prototype("of_new_proto") is None
    assert types.raw.find("int", Kind.INT) == 2
    assert types.raw.type(1).kind == types.raw.type(3).kind == Kind.UNKNOWN
    assert "first" not in (*types.raw.struct_names, *types.raw.function_names)


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (bp.kprobe("by_value", x="b"), r"b is of a kind of type that is newer .*fresh_t"),
        (bp.kprobe("by_value", x="c"), "c .*comes after b, whose place is not known"),
        (bp.kprobe("whole", x="c"), "c .*comes after h, whose place is not known"),
        (bp.kprobe("returns", x="a"), "it is not known how unknown_kind_33 int is returned"),
        (bp.kretprobe("returns", x="$retval"), "returns a unknown_kind_33 int"),
        (bp.kprobe("by_pointer", x="h->new"), "newer than this bpfprobe"),
        (bp.kprobe("by_pointer", x="h->row[1]"), "the size of unknown_kind_21 fresh is not known"),
        (bp.kprobe("by_pointer", x="h->row"), r"h->row is an array \(unknown_kind_21 fresh\[5\]\)"),
        (bp.kprobe("by_pointer", x="p->x"), "fresh_t"),
        (bp.kprobe("by_pointer", x="p:string"), "string"),
        (bp.kprobe("of_new_proto", x="a"), "arguments of of_new_proto are not known by name"),
    ],
)
def test_what_is_of_it_is_refused_with_the_reason(path: Path, probe: bp.Probe, reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        describe([probe], BtfFileTarget(path, "x86_64"))


@pytest.mark.parametrize(
    "probe",
    [
        bp.kprobe("by_value", a="a", word="%si"),
        bp.kprobe("by_pointer", p="p", n="n", before="h->before", after="h->after"),
        bp.kprobe("quiet", a="a"),
    ],
)
def test_the_rest_is_taken(path: Path, probe: bp.Probe) -> None:
    describe([probe], BtfFileTarget(path, "x86_64"))


def test_a_module_goes_by_its_own_layout_or_that_of_the_kernel(tmp_path: Path) -> None:
    base = BtfFile()
    int_ = base.integer("int", 4, SIGNED)
    module = BtfFile(base)
    module.add(NEW, "fresh", 4, 1, 2)  # type: ignore[arg-type]  # a kind that is not there
    module.function("in_module", int_, ("n", int_))
    kernel = BtfTypes.from_file(base.write(tmp_path / "vmlinux", LAYOUT))
    old = BtfTypes.from_file(base.write(tmp_path / "old"))
    short = module.write(tmp_path / "short")
    for types in (
        BtfTypes.from_file(short, kernel),
        BtfTypes.from_file(module.write(tmp_path / "full", LAYOUT), old),
    ):
        found = types.prototype("in_module")
        assert found is not None
        assert found.parameters[0].type == KInt("int", 4, True)
        assert types.raw.type(2).kind == Kind.UNKNOWN
    with pytest.raises(TargetError, match=r"its type 2 is of kind 21, .*no layout"):
        BtfTypes.from_file(short, old)


def test_a_kernel_with_new_kinds_has_modules(tmp_path: Path) -> None:
    base = kernel()
    module = BtfFile(base)
    int_ = module.integer("int", 4, SIGNED)
    module.function("in_module", int_, ("b", 3), ("c", int_))
    below = BtfTypes.from_file(base.write(tmp_path / "vmlinux", LAYOUT))
    types = BtfTypes.from_file(module.write(tmp_path / "module"), below)
    found = types.prototype("in_module")
    assert found is not None
    assert found.parameters[0].type == KOther("unknown_kind_21 fresh", is_unknown=True)


def test_more_members_than_there_were_bits_for(tmp_path: Path) -> None:
    file = BtfFile()
    int_ = file.integer("int", 4, SIGNED)
    values = [word for n in range(70_000) for word in (0, n)]
    large = file.add(Kind.ENUM, "large", 4, *values)
    file._types[-1] = struct.pack("=II", 0, Kind.ENUM << 24 | 70_000) + file._types[-1][8:]
    file.function("f", int_, ("n", int_), ("e", large))
    types = BtfTypes.from_file(file.write(tmp_path / "vmlinux"))
    found = types.prototype("f")
    assert found is not None
    assert found.parameters[0].type == KInt("int", 4, True)


def test_a_header_with_a_layout_and_no_new_kind_needs_no_help(tmp_path: Path) -> None:
    file = BtfFile()
    file.function("f", file.integer("int", 4, SIGNED))
    raw = RawBtf(str(file.write(tmp_path / "vmlinux", layout_of({}))))
    assert raw.function_names == ("f",)
    assert not raw._unknown


@pytest.mark.parametrize(
    ("layout", "cause"),
    [
        (None, "its type 1 is of kind 21, which is newer than this bpfprobe, and it has no layout"),
        (
            layout_of({NEW - 1: (4, 4)}),
            "its type 1 is of kind 21, and its layout ends with kind 20",
        ),
        (layout_of({NEW: (6, 4)}), "the sizes of kind 21 in its layout are not multiples of 4"),
        (layout_of({NEW: (4, 2)}), "the sizes of kind 21 in its layout are not multiples of 4"),
        (layout_of({NEW: (4, 0)}), "its type 2 is of kind 0"),
        (layout_of({NEW: (252, 4)}), "its type 1, of kind 21, is cut short"),
        (LAYOUT + b"\0", "its layout is not in units of 4 bytes"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(
    tmp_path: Path, layout: bytes | None, cause: str
) -> None:
    file = BtfFile()
    file.add(NEW, "", 0, 0, 0)  # type: ignore[arg-type]  # a kind that is not there
    file.integer("int", 4, SIGNED)
    path = file.write(tmp_path / "vmlinux", layout)
    with pytest.raises(TargetError, match=cause) as raised:
        BtfTypes.from_file(path)
    assert raised.value.code == "BAD_BTF"


@pytest.mark.parametrize("word", range(1, 8))
@pytest.mark.parametrize("value", [0, 1, 23, 25, 1 << 20, 0xFFFFFFFF])
def test_a_damaged_header_ends_in_an_error_of_ours(path: Path, word: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into("=I", data, 4 * word, value)
    path.write_bytes(data)
    try:
        BtfTypes.from_file(path).prototype("by_value")
    except TargetError as error:
        assert error.code == "BAD_BTF"  # noqa: PT017  # a damage that does not matter is taken
