"""What the verifier of this kernel refuses is shown in the description, not only in its log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from tests.native.programs import Program, needs_uprobes

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.object import Bytecode, CSource

pytestmark = needs_uprobes

CALL, MAP_LOOKUP = 0x85, 1
FILTER = '*(u16 *)(%di + 32) == 7 && comm == "worker"'


class Breaker(LiveEngine):
    """Calls bpf_map_lookup_elem(), without a map, in place of the last helper of some text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        """Compile, then damage."""
        return tuple(self._damaged(code, source) for code in super().compile(source))

    def _damaged(self, code: Bytecode, source: CSource) -> Bytecode:
        parts = bytearray(code.instructions)
        calls = [
            at // 8 for at in range(0, len(parts), 8) if parts[at : at + 2] == bytes([CALL, 0])
        ]
        for number in reversed(calls):
            span = source.origin(code.lines[number])
            if span is not None and span.text == self.text:
                parts[8 * number + 4 : 8 * number + 8] = MAP_LOOKUP.to_bytes(4, "little")
                return replace(code, instructions=bytes(parts))
        return code


@pytest.mark.parametrize("text", ["+0(%di):u32", "+8(%si):ustring", FILTER])
def test_the_place_in_the_description(text: str, tmp_path: Path) -> None:
    program = Program.build(tmp_path)
    probe = bp.uprobe(
        program.path, "hot", number="+0(%di):u32", name="+8(%si):ustring", filter=FILTER
    )
    with pytest.raises(bp.VerifierError) as caught:
        bp.Session(probe, engine=Breaker(text)).open()
    error = caught.value
    assert error.span is not None
    assert error.span.text == text
    assert "expected=map_ptr" in error.message
    assert str(error).endswith(f"\n  {text}\n  ^{'~' * (len(text) - 1)}")


def test_without_a_place_the_message_is_whole(tmp_path: Path) -> None:
    program = Program.build(tmp_path)
    engine = Breaker("+0(%di):u32")
    probe = bp.uprobe(program.path, "hot", number="+0(%di):u32")
    real = engine.compile
    engine.compile = lambda source: tuple(replace(code, lines=()) for code in real(source))  # type: ignore[method-assign]  # as an object without lines
    with pytest.raises(bp.VerifierError) as caught:
        bp.Session(probe, engine=engine).open()
    assert caught.value.span is None
    assert str(caught.value).startswith("the verifier refused program p0_hot: ")
