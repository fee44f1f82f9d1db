"""Where a program's functions are in its debug information is parsed once for all of them."""

from __future__ import annotations

import subprocess

import pytest

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
