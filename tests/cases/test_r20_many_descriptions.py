"""What many descriptions of one session have in common is looked up once."""

from __future__ import annotations

import subprocess

import pytest

import bpfprobe as bp
from bpfprobe.pipeline import describe
from bpfprobe.target import binaries, locator
from bpfprobe.target.btf import BtfTypes
from bpfprobe.target.elf import ElfFile
from bpfprobe.target.libbpf_btf import RawBtf
from bpfprobe.target.live import LiveTarget
from tests.btf_bytes import SIGNED, BtfFile

FUNCTIONS = 307
OTHER = "long other(long a) { return a; }\nint main(void) { return 0; }\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    lines = [f"long f{number}(long a) {{ return a + {number}; }}" for number in range(FUNCTIONS)]
    return built(tmp_path_factory.mktemp("many") / "prog", "\n".join(lines) + "\n" + OTHER)


def built(path, text):
    source = path.with_suffix(".c")
    source.write_text(text)
    subprocess.run(["gcc", "-O0", "-o", path, source], check=True)
    return path


@pytest.fixture
def reads(monkeypatch):
    """Count how often a file is parsed, and the loader's cache."""
    counts = {"elf": 0, "cache": 0}

    def counted_elf(*arguments):
        counts["elf"] += 1
        return ElfFile(*arguments)

    def counted_cache(*arguments):
        counts["cache"] += 1
        return locator_read(*arguments)

    locator_read = locator.read_library_cache
    monkeypatch.setattr(binaries, "ElfFile", counted_elf)
    monkeypatch.setattr(locator, "read_library_cache", counted_cache)
    return counts


def test_a_program_is_parsed_once(program, reads):
    probes = [bp.probe(f"uprobe:{program}:f{number} pid") for number in range(FUNCTIONS)]
    made = describe(probes, LiveTarget())
    assert [probe.site.symbol for probe in made.bound.probes] == [
        f"f{number}" for number in range(FUNCTIONS)
    ]
    assert len({probe.site.offset for probe in made.bound.probes}) == FUNCTIONS
    assert reads["elf"] == 1


def test_the_loaders_cache_is_parsed_once(reads):
    target = LiveTarget()
    found = {target.binary(name, None).path for name in ("c", "libc.so.6", "m", "c") * 11}
    assert {path.rsplit("/", 1)[-1] for path in found} == {"libc.so.6", "libm.so.6"}
    assert reads == {"elf": 2, "cache": 1}


@pytest.mark.parametrize("way", ["renamed over", "written in place"])
def test_a_file_that_changed_is_parsed_again(tmp_path, program, way):
    path = tmp_path / "prog"
    path.write_bytes(program.read_bytes())
    target = LiveTarget()
    assert target.binary_symbols(target.binary(str(path), None), "f23")
    other = built(tmp_path / "other", OTHER)
    if way == "renamed over":
        other.rename(path)
    else:
        path.write_bytes(other.read_bytes())
    binary = target.binary(str(path), None)
    assert not target.binary_symbols(binary, "f23")
    assert target.binary_symbols(binary, "other")


def test_members_of_a_struct_are_read_once(tmp_path):
    asked = []

    class Counted(RawBtf):
        def type(self, type_id):
            asked.append(type_id)
            return super().type(type_id)

    file = BtfFile()
    long = file.integer("long int", 8, SIGNED)
    file.struct("pair", 16, [("a", long, 0), ("b", long, 64)])
    types = BtfTypes(Counted(str(file.write(tmp_path / "btf"))))
    pair = types.struct("pair")
    first = types.members(pair.type_id)
    assert [member.name for member in first] == ["a", "b"]
    asked.clear()
    assert types.members(pair.type_id) is first
    assert asked == []
