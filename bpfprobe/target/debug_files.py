"""The separate file with the symbols of a stripped one: found, checked, and read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import DebugSymbols
from bpfprobe.model.regex import regex
from bpfprobe.target.debug_link import checksum, read_debug_link
from bpfprobe.target.elf import ElfFile
from bpfprobe.target.file_bytes import opened
from bpfprobe.target.files import read_regular
from bpfprobe.target.lookup import under

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.debug_link import DebugLink

_OF_PROCESS = regex(r"(?P<root>.*/proc/\d+/root)(?P<path>/.*)")
_DPKG_LISTS = "/var/lib/dpkg/info"
_MOST_LIST_BYTES = 16 << 20


class DebugFiles:
    """Debug files of the machine under ``root``. What was found is remembered."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[str, tuple[DebugSymbols, ElfFile | None]] = {}

    def find(self, elf: ElfFile) -> tuple[DebugSymbols, ElfFile | None]:
        """What stands for the symbols that ``elf`` lacks; the file is None where there is none.

        A process in a root directory of its own has its debug files there or here: build-id and
        checksum say which is the right one. Raises `TargetError` for a program that is damaged.
        """
        if elf.path not in self._found:
            self._found[elf.path] = self._search(elf)
        return self._found[elf.path]

    def _search(self, elf: ElfFile) -> tuple[DebugSymbols, ElfFile | None]:
        with opened(Path(elf.path)) as data:
            link = read_debug_link(elf, data)
        problems: list[str] = []
        for path in self._candidates(elf.path, link):
            try:
                found = _checked(path, link, elf)
            except TargetError as error:
                if error.code != "NO_FILE":
                    problems.append(error.message)
            else:
                about = DebugSymbols(elf.is_stripped, link.build_id.hex(), str(path))
                return about, found
        about = DebugSymbols(elf.is_stripped, link.build_id.hex(), "", tuple(problems))
        return about, None

    def _candidates(self, path: str, link: DebugLink) -> Iterator[Path]:
        for root, inside in self._views(path):
            for candidate in link.paths(str(Path(inside).parent)):
                try:
                    yield under(root, candidate)
                except TargetError:  # a loop of links: nothing to be found there
                    continue

    def _views(self, path: str) -> Iterator[tuple[Path, str]]:
        """Root directories to look under, each with what the program is called there."""
        if inside := _OF_PROCESS.fullmatch(path):
            yield Path(inside["root"]), inside["path"]
            yield self._root, inside["path"]
        else:
            yield self._root, os.path.realpath(path)

    def package(self, path: str) -> str:
        """The Debian package that a file came with, empty where none is known."""
        for root, inside in self._views(path):
            plain = inside.removeprefix("/usr").encode(errors="surrogateescape")
            names = (b"\n" + plain + b"\n", b"\n/usr" + plain + b"\n")
            try:
                lists = sorted(under(root, _DPKG_LISTS).glob("*.list"))
                for one in lists:
                    content = read_regular(str(one), _MOST_LIST_BYTES)
                    if any(name in content for name in names):
                        return one.stem.partition(":")[0]
            except (OSError, TargetError):  # no dpkg here, or one that is none of our business
                continue
        return ""


def _checked(path: Path, link: DebugLink, program: ElfFile) -> ElfFile:
    """The file if it was made of the same program. Raises `TargetError`."""
    with opened(path) as data:
        found = ElfFile(data, str(path), program)
        theirs = read_debug_link(found, data).build_id
        if link.build_id and theirs:
            same = theirs == link.build_id
        else:
            same = bool(link.name) and checksum(data) == link.crc
    if not same:
        raise TargetError(f"{path} is of another build", code="OTHER_BUILD")
    if found.is_stripped:
        raise TargetError(f"{path} has no symbols", code="NO_SYMBOLS")
    return found
