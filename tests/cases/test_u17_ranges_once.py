"""The debug information of a program is not read again for each of its functions."""

from __future__ import annotations

import itertools
import subprocess
import sys

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


def test_what_is_done_for_a_function_does_not_grow_with_their_number(tmp_path):
    calls = {count: calls_for(tmp_path, count) / count for count in (53, 499)}
    assert calls[499] < 1.5 * calls[53]


def calls_for(folder, count):
    """Return how many calls in Python the prototypes of ``count`` functions take."""
    source = "".join(f"int f{n}(int argument{n}) {{ return {n}; }}\n" for n in range(count))
    (folder / "many.c").write_text(source)
    subprocess.run(["gcc", "-g", "-shared", "-o", "many", "many.c"], cwd=folder, check=True)
    target = LiveTarget()
    binary = target.binary(str(folder / "many"), None)
    symbols = [target.binary_symbols(binary, f"f{n}")[0] for n in range(count)]
    done = itertools.count()
    sys.setprofile(lambda *_: next(done))
    try:
        prototypes = [target.binary_prototype(binary, symbol.address) for symbol in symbols]
    finally:
        sys.setprofile(None)
    assert [one.parameters[0].name for one in prototypes] == [f"argument{n}" for n in range(count)]
    return next(done)
