"""``bpfprobe cache``: what was kept of starts before."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.errors import BpfprobeError, ObjectError
from bpfprobe.output import show

if TYPE_CHECKING:
    from bpfprobe.store.folder import Folder

HELP = "show or remove what is kept so that a second start compiles nothing"
EPILOG = """\
It is in /var/cache/bpfprobe/objects for root, in ~/.cache/bpfprobe/objects for others.
BPFPROBE_CACHE=DIR keeps it in DIR/objects, BPFPROBE_CACHE=off keeps nothing.

examples:
  bpfprobe cache list       what is there, and what is not used, with the reason
  bpfprobe cache clear      remove it; the next start compiles again
"""
_COLUMNS = ("KIND", "SIZE", "MADE", "USED", "KERNEL", "WHAT")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("action", choices=("list", "clear"))


def run(args: argparse.Namespace) -> int:
    """Carry out the command line."""
    from bpfprobe.store.folder import FolderError, folder_path, open_folder

    try:
        folder = open_folder()
    except FileNotFoundError:
        show(f"{folder_path()}: nothing has been kept")
        return 0
    except (FolderError, OSError) as error:
        raise BpfprobeError(
            f"the cache is not used: {error}",
            hint="it must be yours, of mode 700, and so must the folders above it",
            code="CACHE",
        ) from error
    if folder is None:
        show("the cache is off (BPFPROBE_CACHE=off)")
        return 0
    try:
        if args.action == "clear":
            show(f"{folder.path}: {folder.clear()} files removed")
        else:
            _list(folder)
    finally:
        folder.close()
    return 0


def _list(folder: Folder) -> None:
    from bpfprobe.store.known import PREFIX

    now = time.time()
    entries = folder.entries()
    rows = [_COLUMNS]
    for entry in entries:
        if not entry.name.startswith(PREFIX):
            kind, made, kernel, what = _what(folder, entry.name, now)
            rows.append((kind, f"{entry.size}", made, _ago(now - entry.used), kernel, what))
    known = len(entries) - len(rows) + 1
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    for row in rows if len(rows) > 1 else []:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        show("  ".join([*cells, row[-1]]))
    show(f"{folder.path}: {sum(e.size for e in entries)} bytes; {known} descriptions known")


def _what(folder: Folder, name: str, now: float) -> tuple[str, str, str, str]:
    """Kind, age, kernel, and what it is or why it is not used."""
    from bpfprobe.store.code import PREFIX as CODE
    from bpfprobe.store.code import decode_code
    from bpfprobe.store.start import decode_start
    from bpfprobe.store.starts import PREFIX as START

    data, problem = folder.examine(name)
    kind = name.partition("-")[0]
    if data is None:
        return kind, "-", "-", f"not used: {name}: {problem}"
    try:
        if name.startswith(START):
            start = decode_start(data)
            return kind, _ago(now - start.made_s), start.release, escape(start.label)
        if name.startswith(CODE):
            code = decode_code(data)
            what = ", ".join(program.program.name for program in code.programs)
            return kind, _ago(now - code.made_s), code.release, escape(what)
    except ObjectError as error:
        return kind, "-", "-", f"not used: {name}: {error.message}"
    return "-", "-", "-", f"not used: {escape(name)}: none of ours"


def _ago(seconds: float) -> str:
    """An age in the largest unit that it is one of."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
