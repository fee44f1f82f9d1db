"""The file that dwz(1) moved to what several debug files have alike.

Its name and build-id are in the section ``.gnu_debugaltlink``; Debian's packages of debug symbols
have it below /usr/lib/debug/.dwz.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfprobe.errors import TargetError
from bpfprobe.model.regex import regex
from bpfprobe.target.debug_link import read_debug_link
from bpfprobe.target.dwarf_sections import open_dwarf
from bpfprobe.target.elf import ElfFile
from bpfprobe.target.file_bytes import opened
from bpfprobe.target.lookup import open_regular, under

if TYPE_CHECKING:
    from bpfprobe.target.dwarf_units import Dwarf

_SECTION = ".gnu_debugaltlink"
_MOST_BYTES = 65536  # a path and a build-id
_ROOT = regex(r".*/proc/\d+/root(?=/)")


class Alternate(NamedTuple):
    """The file that a debug file names; no ``dwarf`` where it is missing or of another build."""

    name: str
    dwarf: Dwarf | None = None


def open_alternate(elf: Any, path: str) -> Alternate | None:
    """The file that ``path`` names, None where it names none; ``elf`` is pyelftools' of ``path``.

    Raises as `open_dwarf`.
    """
    from elftools.elf.elffile import ELFFile

    section = elf.get_section_by_name(_SECTION)
    if section is not None and section["sh_size"] > _MOST_BYTES:
        return None
    raw, _, build_id = section.data().partition(b"\0") if section is not None else (b"", b"", b"")
    name = raw.decode(errors="surrogateescape")
    if not name or not build_id:
        return None
    try:
        place = _place(name, path)
        with opened(place) as data:
            if read_debug_link(ElfFile(data, str(place)), data).build_id != build_id:
                return Alternate(name)
        with open(open_regular(place, str(place)), "rb") as file:
            return Alternate(name, open_dwarf(ELFFile(file), str(place)))
    except TargetError as error:
        if error.code == "TOO_BIG":
            raise
        return Alternate(name)


def _place(name: str, path: str) -> Path:
    """Where the file is, for who sees the debug file at ``path``. Raises `TargetError`."""
    if not name.startswith("/"):
        return Path(path).parent / name
    root = _ROOT.match(path)
    return under(Path(root[0]), name) if root else Path(name)
