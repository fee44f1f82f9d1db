"""The form of each file of ours: what it is, its bytes, and a seal on both."""

from __future__ import annotations

from enum import Enum

from bpfprobe.errors import ObjectError
from bpfprobe.store.digest import SEAL_BYTES, seal
from bpfprobe.store.wire import damaged

_MAGIC = b"\x7fbpfprobe\n"
FORM = 1
"""Version of the form. A file of another one is not read."""


class Content(Enum):
    """What a file holds."""

    START = 1  # an object of the cache, with what must still hold
    CODE = 2  # bytecode of the cache
    FILE = 3  # an object that a user keeps: a .bpfo


_HEAD_BYTES = len(_MAGIC) + 2


def sealed(content: Content, payload: bytes) -> bytes:
    """The bytes of a file."""
    body = _MAGIC + bytes([FORM, content.value]) + payload
    return body + seal(body)


def unsealed(content: Content, data: bytes) -> bytes:
    """The payload of a file.

    Raises `ObjectError`: NOT_AN_OBJECT, OBJECT_FORM (made by another bpfprobe), DAMAGED.
    """
    if not data.startswith(_MAGIC) or len(data) < _HEAD_BYTES + SEAL_BYTES:
        raise ObjectError("this is not an object of bpfprobe", code="NOT_AN_OBJECT")
    if seal(data[:-SEAL_BYTES]) != data[-SEAL_BYTES:]:
        raise damaged("a bit of it has changed, or its end is missing")
    form, what = data[len(_MAGIC)], data[len(_MAGIC) + 1]
    if form != FORM:
        raise ObjectError(
            f"the object has form {form}, and this bpfprobe reads {FORM}",
            hint="build it again with this bpfprobe",
            code="OBJECT_FORM",
        )
    if what != content.value:
        raise ObjectError("the file holds something else", code="NOT_AN_OBJECT")
    return data[_HEAD_BYTES:-SEAL_BYTES]
