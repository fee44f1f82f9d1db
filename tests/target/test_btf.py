from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import MissingLibraryError, TargetError
from bpfprobe.model.ktype import KArray, KFloat, KInt, KOther, KPointer, KStruct
from bpfprobe.target.btf import BtfTypes
from bpfprobe.target.libbpf_btf import Kind, load_libbpf
from tests.btf_bytes import BOOL, SIGNED, BtfFile

if TYPE_CHECKING:
    from pathlib import Path

try:
    load_libbpf()
except MissingLibraryError as missing:
    pytest.skip(f"needs libbpf: {missing}", allow_module_level=True)


@pytest.fixture
def file() -> BtfFile:
    return BtfFile()


def test_a_prototype_reads_as_c(file: BtfFile, tmp_path: Path) -> None:
    char = file.integer("char", 1, SIGNED)
    long = file.integer("long int", 8, SIGNED)
    unsigned = file.integer("long unsigned int", 8)
    size_t = file.add(Kind.TYPEDEF, "size_t", unsigned)
    user = file.add(Kind.TYPE_TAG, "user", file.add(Kind.CONST, "", char))
    buf = file.pointer(user)
    how = file.pointer(file.add(Kind.FWD, "open_how"))
    call = file.pointer(file.add(Kind.FUNC_PROTO, "", 0, 0, how, vlen=1))
    file.function("f", long, ("buf", buf), ("n", size_t), ("how", how), ("call", call), ("", 0))

    types = BtfTypes.from_file(file.write(tmp_path / "btf"))
    prototype = types.prototype("f")
    assert prototype is not None
    assert [parameter.type.spelling for parameter in prototype.parameters] == [
        "const char *",
        "size_t",
        "struct open_how *",
        "void (*)(struct open_how *)",
    ]
    assert prototype.variadic
    assert prototype.returns == KInt("long", 8, True)
    assert prototype.parameters[0].type == KPointer(
        "const char *", KInt("const char", 1, True, is_char=True), user=True
    )
    assert prototype.parameters[1].type == KInt("size_t", 8, False)
    assert prototype.parameters[2].type == KPointer("struct open_how *", KOther("struct open_how"))
    assert types.prototype("g") is None


def test_a_forward_declaration_leads_to_the_definition(file: BtfFile, tmp_path: Path) -> None:
    forward = file.pointer(file.add(Kind.FWD, "dentry"))
    file.struct("file", 8, [("dentry", forward, 0)])
    defined = file.struct("dentry", 192, [])
    types = BtfTypes.from_file(file.write(tmp_path / "btf"))
    found = types.struct("file")
    assert found is not None
    (member,) = types.members(found.type_id)
    assert member.type == KPointer(
        "struct dentry *", KStruct("struct dentry", "dentry", 192, defined)
    )


def test_members_of_every_kind(file: BtfFile, tmp_path: Path) -> None:
    char = file.integer("char", 1, SIGNED)
    boolean = file.add(Kind.TYPEDEF, "bool", file.integer("_Bool", 1, BOOL))
    comm = file.add(Kind.ARRAY, "", 0, char, char, 16)
    grid = file.add(Kind.ARRAY, "", 0, comm, char, 2)
    zone = file.add(Kind.ENUM, "zone_type", 4, vlen=0)
    floating = file.add(Kind.FLOAT, "double", 8)
    union = file.struct("", 8, [("word", zone, 0)], Kind.UNION)
    file.struct(
        "s",
        96,
        [
            ("comm", comm, 0),
            ("grid", grid, 128),
            ("zone", zone, 384),
            ("on", boolean, 416),
            ("", union, 448),
            ("d", floating, 512),
        ],
    )
    types = BtfTypes.from_file(file.write(tmp_path / "btf"))
    found = types.struct("s")
    assert found is not None
    by_name = {member.name: member for member in types.members(found.type_id)}
    assert {name: member.offset for name, member in by_name.items()} == {
        "comm": 0, "grid": 16, "zone": 48, "on": 52, "": 56, "d": 64,
    }  # fmt: skip
    inner = KArray("char[16]", KInt("char", 1, True, is_char=True), 16, 16)
    assert by_name["comm"].type == inner
    assert by_name["grid"].type == KArray("char[2][16]", inner, 2, 32)
    assert by_name["zone"].type == KInt("enum zone_type", 4, False)
    assert by_name["on"].type == KInt("bool", 1, False, is_bool=True)
    assert by_name[""].type == KStruct("union {...}", "", 8, union, is_union=True)
    assert by_name["d"].type == KFloat("double", 8)


@pytest.mark.parametrize(
    ("place", "size", "expected"),
    [
        (0, 4, (0, 0, 3)),
        (35, 4, (4, 3, 3)),
        (30, 4, (3, 6, 3)),  # packed across a unit: counted from its byte
        (9, 1, (1, 1, 3)),
    ],
)
def test_bit_fields(
    file: BtfFile, tmp_path: Path, place: int, size: int, expected: tuple[int, int, int]
) -> None:
    number = file.integer("unsigned int", size)
    file.struct("s", 8, [("bits", number, 3 << 24 | place)], flag=True)
    types = BtfTypes.from_file(file.write(tmp_path / "btf"))
    found = types.struct("s")
    assert found is not None
    (member,) = types.members(found.type_id)
    assert (member.offset, member.bit_offset, member.bit_size) == expected


def test_bit_fields_as_old_compilers_wrote_them(file: BtfFile, tmp_path: Path) -> None:
    narrow = file.add(Kind.INT, "unsigned int", 4, 5)
    file.struct("s", 4, [("bits", narrow, 3)])
    types = BtfTypes.from_file(file.write(tmp_path / "btf"))
    found = types.struct("s")
    assert found is not None
    (member,) = types.members(found.type_id)
    assert (member.offset, member.bit_offset, member.bit_size) == (0, 3, 5)


def test_a_module_stands_on_the_kernel(file: BtfFile, tmp_path: Path) -> None:
    number = file.integer("int", 4, SIGNED)
    shared = file.struct("shared", 4, [("n", number, 0)])
    module = BtfFile(file)
    own = module.struct("own", 8, [("shared", shared, 0), ("n", number, 32)])
    module.function("hook", number, ("own", module.pointer(own)))

    below = BtfTypes.from_file(file.write(tmp_path / "vmlinux"))
    mark = 7 << 32
    types = BtfTypes.from_file(module.write(tmp_path / "module"), below, mark)
    found = types.struct("own")
    assert found == KStruct("struct own", "own", 8, own | mark)
    first, second = types.members(own | mark)
    assert first.type == KStruct("struct shared", "shared", 4, shared)
    assert second.offset == 4
    assert str(types.prototype("hook")) == "int hook(struct own *own)"
    assert below.struct("own") is None


def test_a_typedef_of_a_struct_and_near_misses(file: BtfFile, tmp_path: Path) -> None:
    anonymous = file.struct("", 4, [("counter", file.integer("int", 4, SIGNED), 0)])
    file.add(Kind.TYPEDEF, "atomic_t", anonymous)
    file.struct("task_struct", 8, [])
    types = BtfTypes.from_file(file.write(tmp_path / "btf"))
    assert types.struct("atomic_t") == KStruct("atomic_t", "", 4, anonymous)
    assert types.struct("task_strct") is None
    assert types.similar_structs("task_strct") == ("task_struct",)


def test_a_pointer_to_itself_ends(file: BtfFile, tmp_path: Path) -> None:
    file.function("f", 0, ("p", file.pointer(file.next_id)))
    prototype = BtfTypes.from_file(file.write(tmp_path / "btf")).prototype("f")
    assert prototype is not None


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "NO_BTF"), (b"", "BAD_BTF"), (b"\x9f\xeb", "BAD_BTF"), (b"text" * 99, "BAD_BTF")],
)
def test_what_is_no_btf(
    tmp_path: Path, content: bytes | None, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "btf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TargetError) as caught:
        BtfTypes.from_file(path)
    assert caught.value.code == code
    assert capfd.readouterr() == ("", "")


def test_a_directory_is_no_btf(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as caught:
        BtfTypes.from_file(tmp_path)
    assert caught.value.code == "NOT_REGULAR"
