"""What may differ from run to run leaves the code and goes into the block of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from bpfprobe.model.noun import field_names, is_noun, replace
from bpfprobe.model.parameters import HEAD_BYTES, ParameterBlock, ParameterSlot, number_bytes
from bpfprobe.model.value import (
    Compare,
    Constant,
    ConstantText,
    GlobText,
    Kept,
    MaskedText,
    Parameter,
    TextEquals,
    TextMatches,
)
from bpfprobe.plan.patterns import glob_bytes, is_masked, masked_bytes, room_of

if TYPE_CHECKING:
    from bpfprobe.model.value import Capturable, Condition

_Node = TypeVar("_Node")


class Parameters:
    """Gives out slots of the block while probes are planned."""

    def __init__(self) -> None:
        self._slots: list[ParameterSlot] = []
        self._end = HEAD_BYTES

    def number(self, value: int, option: str = "") -> Parameter:
        """A slot for a number; ``option`` is the session's option that it comes from."""
        return Parameter(self._take(number_bytes(value), option), value)

    def in_filter(self, condition: Condition) -> Condition:
        """The condition with all numbers that values are compared with, and all texts, handed in.

        Numbers inside of arithmetic stay: ``(flags & 3) == 1`` has the 3 in its code. So do those
        of an ``entry(...)``, which may be a capture's as well.
        """
        return self._taken_out(condition, numbers=True)

    def in_capture(self, value: Capturable) -> Capturable:
        """The value with every text handed in that it compares."""
        return self._taken_out(value, numbers=False)

    def block(self, wake_bytes: int, probes: int) -> ParameterBlock:
        """All slots that were given out, of a session of so many probes."""
        return ParameterBlock(tuple(self._slots), wake_bytes, probes)

    def _take(self, data: bytes, option: str = "") -> int:
        offset = self._end
        self._slots.append(ParameterSlot(offset, data, option))
        self._end += len(data)
        return offset

    def _taken_out(self, node: _Node, *, numbers: bool) -> _Node:
        if isinstance(node, Compare) and numbers and isinstance(node.right, Constant):
            if isinstance(node.left, Constant):
                return node
            left = self._taken_out(node.left, numbers=numbers)
            # cast: what stands in for a node is of the same union, which a type variable cannot say
            return cast("_Node", replace(node, left=left, right=self.number(node.right.value)))
        whole = self._inside(node, numbers=numbers and not isinstance(node, Kept))
        if isinstance(whole, (TextEquals, TextMatches)):
            return cast("_Node", self._text(whole))
        return whole

    def _inside(self, node: _Node, *, numbers: bool) -> _Node:
        if isinstance(node, tuple):
            return cast("_Node", tuple(self._taken_out(part, numbers=numbers) for part in node))
        if not is_noun(node):
            return node
        changed = {}
        for name in field_names(node):
            inner = getattr(node, name)
            if is_noun(inner) or isinstance(inner, tuple):
                new = self._taken_out(inner, numbers=numbers)
                if new is not inner:
                    changed[name] = new
        whole: Any = node  # a noun, which a type variable cannot say
        return cast("_Node", replace(whole, **changed)) if changed else node

    def _text(self, asked: TextEquals | TextMatches) -> Condition:
        if isinstance(asked.text, ConstantText):
            return asked
        room = room_of(asked)
        if is_masked(asked):
            return MaskedText(asked, self._take(masked_bytes(asked, room)), room)
        assert isinstance(asked, TextMatches)
        return GlobText(asked, self._take(glob_bytes(asked.pattern)), room)
