"""The debug information of a program is not read again for each of its functions."""

from __future__ import annotations

import subprocess

import pytest

from bpfprobe.target.dwarf_sections import Reads
from bpfprobe.target.live import LiveTarget

dwarfinfo = pytest.importorskip("elftools.dwarf.dwarfinfo")

FUNCTIONS = 31


def test_address_ranges_are_parsed_once(tmp_path, monkeypatch):
    asked = []
    parse = dwarfinfo.DWARFInfo.get_aranges

    def counted(self):
        asked.append(self)
        return parse(self)

    monkeypatch.setattr(dwarfinfo.DWARFInfo, "get_aranges", counted)
    source, program = tmp_path / "many.c", tmp_path / "many"
    lines = [f"long f{n}(long argument{n}) {{ return {n}; }}\n" for n in range(FUNCTIONS)]
    source.write_text("".join(lines) + "int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-g", "-o", program, source], check=True)
    target = LiveTarget()
    binary = target.binary(str(program), None)
    for n in range(FUNCTIONS):
        (symbol,) = target.binary_symbols(binary, f"f{n}")
        prototype = target.binary_prototype(binary, symbol.address)
        assert [parameter.name for parameter in prototype.parameters] == [f"argument{n}"]
    assert len(asked) == 1


def test_entries_are_not_read_again_for_each_function(tmp_path, monkeypatch):
    taken = []
    take = Reads.take

    def counted(self, count):
        taken.append(count)
        take(self, count)

    monkeypatch.setattr(Reads, "take", counted)
    functions = [f"int f{n}(int argument{n}, char *text) {{ return {n}; }}\n" for n in range(499)]
    (tmp_path / "many.c").write_text("".join(functions))
    subprocess.run(["gcc", "-g", "-c", "-o", "many.o", "many.c"], cwd=tmp_path, check=True)
    command = ["gcc", "-g", "-shared", "-o", "many.so", "many.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    target = LiveTarget()
    binary = target.binary(str(tmp_path / "many.so"), None)
    for n in range(499):
        (symbol,) = target.binary_symbols(binary, f"f{n}")
        prototype = target.binary_prototype(binary, symbol.address)
        assert prototype.parameters[0].name == f"argument{n}"
    size = (tmp_path / "many.o").stat().st_size
    assert sum(taken) < 3 * size
