"""Starts in the folder: found by what was asked for, in this boot, by this bpfprobe."""

from __future__ import annotations

from bpfprobe.errors import ObjectError
from bpfprobe.model.options import Options
from bpfprobe.store.digest import digest
from bpfprobe.store.fingerprint import fingerprint
from bpfprobe.store.folder import folder_path, opened_folder
from bpfprobe.store.start import decode_start, encode_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.description import Description
    from bpfprobe.store.start import Start

PREFIX = "start-"

_FILTERS = ("pid", "tid", "uid", "not_pid")
"""Options whose values a program is handed: only whether there is one makes a difference."""
_FOR_READERS = ("latency_s", "ordered", "window_s")
"""Options that no program and no map depends on."""


def start_name(
    descriptions: Sequence[Description], options: Options, boot: str, origin: bytes = b""
) -> str | None:
    """The file for a start of these probes; None where none can be kept.

    ``origin`` tells programs of somebody's file from those that were compiled here.
    """
    build = fingerprint()
    if folder_path() is None or build is None or not boot:
        return None
    texts = [description.canonical() for description in descriptions]
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        return None
    return PREFIX + digest(b"start", build, boot.encode(), origin, _shape(options), *known)


def _shape(options: Options) -> bytes:
    words = []
    for name in Options.__slots__:
        value = getattr(options, name)
        if name not in _FOR_READERS:
            words.append((name, value is not None if name in _FILTERS else value))
    return ascii(words).encode("ascii")


def option_values(options: Options) -> tuple[tuple[str, int], ...]:
    """The filters that are set, with their values."""
    values = [(name, getattr(options, name)) for name in _FILTERS]
    return tuple((name, value) for name, value in values if value is not None)


def find_start(name: str) -> Start | None:
    """What is kept under that name, if it is whole."""
    with opened_folder() as folder:
        data = None if folder is None else folder.read(name)
        if folder is None or data is None:
            return None
        try:
            return decode_start(data)
        except ObjectError:
            folder.discard(name)
            return None


def keep_start(name: str, start: Start) -> None:
    """Keep it, in the place of what was there under that name; not if it holds a noun that is new.

    A cache is never why a start fails.
    """
    try:
        data = encode_start(start)
    except TypeError:
        return
    with opened_folder(make=True) as folder:
        if folder is not None:
            folder.write(name, data)


def drop_start(name: str) -> None:
    """It was wrong."""
    with opened_folder() as folder:
        if folder is not None:
            folder.discard(name)
