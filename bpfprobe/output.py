"""Writing text to the standard streams: the one place that does.

A line is made printable on its way out, whatever came into it: names of files, functions, threads
and types are made by others. What is more than a line is given as lines, so that none of these
names can forge one. The lines of a call leave in one write.
"""

from __future__ import annotations

import sys

from bpfprobe.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import SupportsWrite


def show(*lines: str, flush: bool = False) -> None:
    """Write lines to the standard output."""
    write_lines(lines, sys.stdout)
    if flush:
        sys.stdout.flush()


def show_text(text: str) -> None:
    r"""Write a text whose ``\n`` divide lines of our own making."""
    show(*text.split("\n"))


def show_json(content: object) -> None:
    """Write JSON, of ASCII only."""
    import json

    # DEL is the one character of ASCII that json leaves as it is and a terminal does not print.
    show_text(json.dumps(content, indent=2).replace("\x7f", "\\u007f"))


def report(*lines: str) -> None:
    """Write lines to the standard error, past all that waits for the standard output."""
    write_lines(lines, sys.stderr)
    sys.stderr.flush()


def report_error(prefix: str, error: object) -> None:
    """Write what is wrong, whose text `bpfprobe.errors` made of lines that are safe."""
    report(*f"{prefix}: {error}".split("\n"))


def warn_unclosed(text: str, held: object) -> None:
    """Warn of what was dropped without being closed, as of a file; for a `weakref.finalize`."""
    import warnings

    # Beyond the two callers and weakref is where it was dropped.
    warnings.warn(printable(text), ResourceWarning, stacklevel=4, source=held)


def write_lines(lines: Iterable[str], stream: SupportsWrite[str], end: str = "\n") -> None:
    """Write lines in one write, each printable but for its tabs."""
    stream.write("".join([_shown(line) + end for line in lines]))


def _shown(line: str) -> str:
    return line if line.isprintable() else "\t".join(map(printable, line.split("\t")))
