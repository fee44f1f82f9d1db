"""Arguments are looked for where a compiler puts them, by the convention of each processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpfprobe.model.arch import arch_named
from bpfprobe.model.noun import replace
from bpfprobe.target.dwarf import DwarfFile
from tests.abi import COMPILERS, compiler_places, differences, has_compiler, library, our_places
from tests.prototypes import Prototypes

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.ktype import Prototype

pytest.importorskip("elftools", reason="needs pyelftools")

FUNCTIONS, DESCRIBED = 300, 1000
"""How many are made, and how many of their parameters must have a place that is compared."""


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("processor", COMPILERS)
def test_any_parameter_is_where_the_compiler_puts_it(
    tmp_path: Path, processor: str, seed: int
) -> None:
    """Structs, unions, bit fields, packed and aligned ones, floats, vectors, wide numbers."""
    from elftools.elf.elffile import ELFFile

    if not has_compiler(processor):
        pytest.skip(f"needs {COMPILERS[processor]}")
    made = library(tmp_path, Prototypes(seed, FUNCTIONS).source(), processor)
    theirs = compiler_places(made, processor)
    assert len(theirs) == FUNCTIONS
    wrong = {}
    with made.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        addresses = {symbol.name: symbol["st_value"] for symbol in symbols}
        dwarf = DwarfFile(file, str(made), 1 << 40)
        for name, places in theirs.items():
            prototype = dwarf.prototype(addresses[name])
            assert prototype is not None
            ours = our_places(
                by_convention(prototype),
                arch_named(processor),
                lambda struct: dwarf.members(struct.type_id),
            )
            if found := differences(ours, places):
                wrong[str(prototype)] = found
    assert not wrong
    assert sum(bool(place) for places in theirs.values() for place in places) > DESCRIBED


def by_convention(prototype: Prototype) -> Prototype:
    """The function without the places that the debug information names."""
    given = tuple(replace(one, register=-1, by_reference=False) for one in prototype.parameters)
    return replace(prototype, parameters=given)
