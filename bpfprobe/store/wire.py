"""Numbers and texts to bytes and back. What is read was written by anybody: each length is checked.

A number is 9 bytes, little endian, signed, so that it holds an s64 as well as a u64; bytes and text
follow their length, a row its count.
"""

from __future__ import annotations

from bpfprobe.errors import ObjectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    Item = TypeVar("Item")


_NUMBER_BYTES = 9


class Writer:
    """Puts things behind one another."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def number(self, value: int) -> None:
        """An s64 or a u64."""
        self._parts.append(value.to_bytes(_NUMBER_BYTES, "little", signed=True))

    def data(self, value: bytes) -> None:
        """Bytes."""
        self.number(len(value))
        self._parts.append(value)

    def text(self, value: str) -> None:
        """Text; surrogates stand for bytes that are no UTF-8."""
        self.data(value.encode("utf-8", "surrogateescape"))

    def row(self, items: Iterable[Item], write: Callable[[Item], None]) -> None:
        """Any number of things of one kind."""
        found = tuple(items)
        self.number(len(found))
        for item in found:
            write(item)

    def bytes(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)


class Reader:
    """Takes things off in the order in which they were written. Raises `ObjectError` (DAMAGED)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, low: int = -(1 << 63), high: int = (1 << 64) - 1) -> int:
        """A number from ``low`` up to ``high``."""
        value = int.from_bytes(self._take(_NUMBER_BYTES), "little", signed=True)
        if not low <= value <= high:
            raise damaged(f"{value} where {low} to {high} can be")
        return value

    def data(self) -> bytes:
        """Bytes."""
        return self._take(self.number(0))

    def text(self) -> str:
        """Text."""
        try:
            return self.data().decode("utf-8", "surrogateescape")
        except UnicodeDecodeError as error:
            raise damaged(str(error)) from None

    def row(self, read: Callable[[], Item]) -> tuple[Item, ...]:
        """Any number of things of one kind, each of which takes some room."""
        count = self.number(0, (len(self._data) - self._at) // _NUMBER_BYTES)
        return tuple([read() for _ in range(count)])

    def end(self) -> None:
        """Nothing more may follow."""
        if self._at != len(self._data):
            raise damaged(f"{len(self._data) - self._at} bytes are left over")

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise damaged("it ends too soon")
        self._at += size
        return self._data[self._at - size : self._at]


def damaged(how: str) -> ObjectError:
    """The error for bytes that `Writer` never made."""
    return ObjectError(f"the object is damaged: {how}", code="DAMAGED")
