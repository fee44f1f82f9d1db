"""What a program is handed to compare with, apart from its code: the block of parameters.

The block is the one value of a map. It begins with an index and what the machine gives; behind that
stand the slots, once, or twice as two banks. A program reads the index once, and then every slot
from the bank that it names: so all of a new set of values is seen, or none of it. At the end stand
the keys of the counters of each probe: with another there, its programs count nothing.
"""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

HEAD_BYTES = 16
_WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class ParameterSlot:
    """A place in the block.

    ``offset`` is in bytes from where the block begins, 16 for the first; in the second bank it is
    the same, counted from that much further.
    ``data`` is what stands there, a multiple of 8 bytes. ``option`` names the option of the session
    that it is made from (``pid``, ``tid``, ``uid``, ``not_pid``), "" for part of a filter.
    """

    offset: int
    data: bytes
    option: str = ""


@dataclass(frozen=True, slots=True)
class ParameterBlock:
    """All slots of a session, in order, without gaps.

    ``wake_bytes`` is how many bytes of events a CPU may send without waking the reader (of a ring
    buffer). It depends on how many CPUs there are, so it is not in the code. ``probes`` is how many
    probes the session has.
    """

    slots: tuple[ParameterSlot, ...] = ()
    wake_bytes: int = 0
    probes: int = 1

    @property
    def bank_bytes(self) -> int:
        """How far the second bank is behind the first, a power of two; 0 where one is enough.

        A single number needs no second bank: 8 bytes are written at once.
        """
        size = sum(len(slot.data) for slot in self.slots)
        return 0 if size <= _WORD_BYTES else 1 << (size - 1).bit_length()

    @property
    def keys_offset(self) -> int:
        """Where the keys of the counters stand, 8 bytes each of which a program reads 4."""
        return HEAD_BYTES + (2 * self.bank_bytes or _WORD_BYTES)

    @property
    def value_bytes(self) -> int:
        """The size of the map's value."""
        return self.keys_offset + _WORD_BYTES * self.probes

    @property
    def option_offsets(self) -> tuple[tuple[str, int], ...]:
        """Where in the image the numbers stand that come from options, by their names."""
        return tuple((slot.option, slot.offset) for slot in self.slots if slot.option)

    def image(self) -> bytes:
        """The whole value as a program finds it first."""
        head = bytes(_WORD_BYTES) + number_bytes(self.wake_bytes)
        keys = b"".join(number_bytes(index) for index in range(self.probes))
        return (head + self._bank()).ljust(self.keys_offset, b"\0") + keys

    def writes(self, index: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
        """What to write, and where, to put these values in the place of those in force.

        ``index`` is the one in force. Gives offsets with bytes, in the order in which programs
        must see them, and the index that is in force then.
        """
        if not self.bank_bytes:
            return ((HEAD_BYTES, self._bank()),), index
        other = index ^ self.bank_bytes
        flip = other.to_bytes(_WORD_BYTES, "little")
        return ((HEAD_BYTES + other, self._bank()), (0, flip)), other

    def _bank(self) -> bytes:
        return b"".join(slot.data for slot in self.slots)


def number_bytes(number: int) -> bytes:
    """A number from -(1 << 63) to (1 << 64) - 1 as a slot holds it."""
    return (number % (1 << 64)).to_bytes(_WORD_BYTES, "little")


def end_write(value_bytes: int, probes: int) -> tuple[int, bytes]:
    """What to write, and where in a block of that size, so that no probe counts any more."""
    size = _WORD_BYTES * probes
    return value_bytes - size, b"\xff" * size
