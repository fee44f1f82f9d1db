"""A target on which files that are not there yet count as found, to be described until they come.

Such a file has every function and marker that is asked for, with arguments by their numbers alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import (
    Binary,
    BinarySymbol,
    FileOffset,
    Instruction,
    UsdtLocation,
    UsdtMarker,
    VirtualAddress,
)
from bpfprobe.model.spec import UsdtPoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.ktype import Prototype
    from bpfprobe.model.spec import Point
    from bpfprobe.target import Target

_ENTRY = 1 << 20
_SIZE = 1 << 40  # of a file, and of a function: any place in it may come true
_ARGUMENTS = " ".join(["-8@$0"] * 12)  # as many as a marker may have (<sys/sdt.h>), of any size


class AwaitingTarget:
    """Answers as ``target`` does, but for files that it does not find.

    ``awaited`` are those, by the name and the process of a description. What has been missing once
    stays so: whoever asks again is told the same.
    """

    def __init__(self, target: Target, points: Iterable[Point]) -> None:
        self._target = target
        self._markers = [point for point in points if isinstance(point, UsdtPoint)]
        self.awaited: set[tuple[str, int | None]] = set()
        self.found: dict[tuple[str, int | None], str] = {}
        """The paths of the others."""

    def __getattr__(self, question: str) -> Any:
        return getattr(self._target, question)

    def binary(self, path: str, pid: int | None = None) -> Binary:
        """A file that is there, or one that stands for it."""
        if (path, pid) not in self.awaited:
            try:
                binary = self._target.binary(path, pid)
            except TargetError as error:
                if error.code != "NO_FILE":
                    raise
            else:
                self.found[path, pid] = binary.path
                return binary
            self.awaited.add((path, pid))
        return Binary(path, self._target.facts().arch, ((0, _SIZE, 0),))

    def _is_awaited(self, binary: Binary) -> bool:
        return binary.text == ((0, _SIZE, 0),)

    def binary_symbols(self, binary: Binary, name: str) -> tuple[BinarySymbol, ...]:
        """Of a file that is awaited, one place."""
        if not self._is_awaited(binary):
            return self._target.binary_symbols(binary, name)
        return (BinarySymbol(name, VirtualAddress(_ENTRY), FileOffset(_ENTRY), _SIZE),)

    def matching_binary_symbols(self, binary: Binary, pattern: str) -> tuple[str, ...]:
        """Of a file that is awaited, one, which is called as the glob is."""
        if not self._is_awaited(binary):
            return self._target.matching_binary_symbols(binary, pattern)
        return (pattern,)

    def binary_prototype(self, binary: Binary, entry: VirtualAddress) -> Prototype | None:
        """Of a file that is awaited, nothing."""
        if self._is_awaited(binary):
            return None
        return self._target.binary_prototype(binary, entry)

    def source_lines(self, binary: Binary, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """Of a file that is awaited, one place."""
        if not self._is_awaited(binary):
            return self._target.source_lines(binary, file, line)
        return (VirtualAddress(_ENTRY),)

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """Of a file that is awaited, those that were asked for, with any number of arguments."""
        if not self._is_awaited(binary):
            return self._target.markers(binary)
        where = UsdtLocation(VirtualAddress(_ENTRY), FileOffset(_ENTRY), _ARGUMENTS)
        asked = {(p.provider or "?", p.name) for p in self._markers if p.path == binary.path}
        return tuple(
            UsdtMarker(provider, name, (where,), VirtualAddress(0), FileOffset(0))
            for provider, name in sorted(asked)
        )

    def function_at(self, binary: Binary, offset: FileOffset) -> BinarySymbol | None:
        """Of a file that is awaited, none."""
        return None if self._is_awaited(binary) else self._target.function_at(binary, offset)

    def instruction_at(
        self, binary: Binary, offset: FileOffset, is_start: bool = False
    ) -> Instruction:
        """Of a file that is awaited, unknown."""
        if self._is_awaited(binary):
            return Instruction(offset, unknown="the file is not there yet")
        return self._target.instruction_at(binary, offset, is_start)

    def process_maps_binary(self, pid: int, binary: Binary) -> bool:
        """Always: a probe of a file that is there is armed when the process maps it."""
        return True
