"""A line of text with values in it, as printf(3) and trace(8) describe one."""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass


class Shape(Enum):
    """How a value is written."""

    DECIMAL = "d"
    HEX = "x"
    TEXT = "s"
    CHARACTER = "c"
    KERNEL_SYMBOL = "K"  # NAME+0xOFFSET
    USER_SYMBOL = "U"  # NAME+0xOFFSET [FILE], in the process of the event


@dataclass(frozen=True, slots=True)
class Conversion:
    """The place of a value: ``%-8s``.

    ``flags`` are some of ``-+ #0``; ``width`` and ``precision`` count characters, and a precision
    of -1 is none. ``field`` names the value in the event.
    """

    shape: Shape
    field: str
    flags: str = ""
    width: int = 0
    precision: int = -1


@dataclass(frozen=True, slots=True)
class Message:
    """What a row of an event says: who was probed, in the user's words, and a text.

    ``parts`` are literal texts and the places of values, in order; empty where no text was asked
    for.
    """

    function: str
    parts: tuple[str | Conversion, ...] = ()
