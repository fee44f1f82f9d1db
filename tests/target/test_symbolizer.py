"""Addresses -> names, of the kernel and of a process that runs."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

import pytest

from bpfprobe.deliver.message import location_text
from bpfprobe.model.mapping import Executed, Mapped, Mapping, ProcessRecord
from bpfprobe.model.symbol import Location
from bpfprobe.target.live import LiveTarget
from bpfprobe.target.symbolizer import LiveSymbolizer
from bpfprobe.target.vdso import vdso_functions

KALLSYMS = b"""\
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000100 t vfs_read
ffffffff81000180 D data_here
ffffffff81000200 W vfs_write
ffffffffc0000000 t nf_ct_delete\t[nf_conntrack]
ffffffffc0000040 t last_one\t[nf_conntrack]
"""


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (0xFFFFFFFF81000000, Location("_text", 0, 0x100)),
        (0xFFFFFFFF81000101, Location("vfs_read", 1, 0x80)),
        (0xFFFFFFFF8100017F, Location("vfs_read", 0x7F, 0x80)),
        (0xFFFFFFFFC0000010, Location("nf_ct_delete", 0x10, 0x40, "nf_conntrack")),
        (0xFFFFFFFFC0000047, None),
        (0xFFFFFFFFD0000000, None),
        (0xFFFFFFFF80FFFFFF, None),
        (0, None),
    ],
)
def test_the_kernel(tmp_path: Path, address: int, place: Location | None) -> None:
    symbols = with_kallsyms(tmp_path, KALLSYMS)
    assert symbols.kernel(address) == place
    assert symbols.kernel(address) == place


def test_addresses_that_are_hidden_have_no_names(tmp_path: Path) -> None:
    hidden = b"0000000000000000 T _text\n0000000000000000 t vfs_read\n"
    assert with_kallsyms(tmp_path, hidden).kernel(0xFFFFFFFF81000000) is None


def with_kallsyms(root: Path, text: bytes) -> LiveSymbolizer:
    (root / "proc").mkdir()
    (root / "proc" / "kallsyms").write_bytes(text)
    return LiveSymbolizer(root)


def test_a_root_without_files_has_no_names(tmp_path: Path) -> None:
    symbols = LiveSymbolizer(tmp_path)
    assert symbols.kernel(0xFFFFFFFF81000101) is None
    assert symbols.user(1, 0x1000) is None


def test_this_process() -> None:
    libc = ctypes.CDLL(None)
    address = ctypes.cast(libc.getppid, ctypes.c_void_p).value
    assert address is not None
    symbols = LiveSymbolizer()
    for offset in (0, 3):
        place = symbols.user(os.getpid(), address + offset)
        assert place is not None
        assert (place.name, place.offset) == ("getppid", offset)
        assert Path(place.module).name.startswith(("libc.", "libc-", "ld-musl"))
        assert place.size > offset
    assert symbols.user(os.getpid(), 16) is None
    assert symbols.user(4_000_000_000, address) is None


def test_a_file_without_a_name_for_the_address() -> None:
    symbols = LiveSymbolizer()
    with Path("/proc/self/maps").open() as maps:
        lines = [line.split() for line in maps]
    program = Path(sys.executable).resolve()
    headers = next(words for words in lines if words[-1] == str(program))
    start = int(headers[0].split("-")[0], 16)
    assert symbols.user(os.getpid(), start + 1) == Location("", 1, 0, str(program))


def test_the_library_of_the_kernel() -> None:
    with Path("/proc/self/maps").open() as maps:
        starts = [int(line.split("-")[0], 16) for line in maps if line.rstrip().endswith("[vdso]")]
    if not starts:
        pytest.skip("this process has no vdso")
    table = vdso_functions()
    assert table is not None
    function = next(entry for entry in table.entries if entry.name.endswith("clock_gettime"))
    place = LiveSymbolizer().user(os.getpid(), starts[0] + function.address + 2)
    assert place is not None
    assert place.name.endswith("clock_gettime")
    assert (place.offset, place.module) == (2, "[vdso]")
    assert location_text(place).endswith("clock_gettime+0x2 [vdso]")


def test_memory_without_a_file() -> None:
    with mmap.mmap(-1, 4096) as memory:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        place = LiveSymbolizer().user(os.getpid(), address)
    assert place is not None
    assert place.module == "[anon]" or place.module.startswith("/dev/zero")
    assert place.name == ""


def test_a_file_that_took_the_place_of_the_mapped_one(tmp_path: Path) -> None:
    """Its names are not those of what runs."""
    here = Path(sys.executable).stat().st_ino
    path = str(Path(sys.executable).resolve())

    def told(inode: int) -> list[ProcessRecord]:
        mapping = Mapping(0x1000, 0x10000000, True, 0, 0, inode, path)
        return [Executed(4_000_000_000), Mapped(4_000_000_000, mapping)]

    (main,) = LiveTarget().binary_symbols(LiveTarget().binary(path), "Py_BytesMain")
    wanted = [("Py_BytesMain", here), ("", here + 1)]
    for name, inode in wanted:
        records = [told(inode)]
        symbols = LiveSymbolizer(told=lambda records=records: records.pop() if records else [])
        place = symbols.user(4_000_000_000, 0x1000 + main.offset)
        assert place is not None
        assert (place.name, place.module) == (name, path)
