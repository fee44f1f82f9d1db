"""BCC's listing of a function: which line of C each instruction came from.

BCC adds lines to the text before it compiles it, so each of ours says its own number (`numbered`).
What the listing quotes is then another line, and only the number counts::

    Disassembly of function p0_vfs_read
    ; u64 thread = bpf_get_current_pid_tgid(); // Line  90
       1:	85 00 00 00 0e 00 00 00	call 14
"""

from __future__ import annotations

from bpfprobe.model.regex import regex

_FUNCTION = regex(r"^Disassembly of function (\S+)$")
_LINE = regex(r"^; .* // Line +(\d+)$")
_INSTRUCTION = regex(r"^ *(\d+):\t(?:[0-9a-f]{2}[ \t]){8}")


def numbered(text: str) -> str:
    """The text with each line's number said before it, unless it goes on from the one before."""
    lines: list[str] = []
    goes_on = False
    for number, line in enumerate(text.splitlines(), 1):
        if not goes_on:
            lines.append(f"#line {number}")
        lines.append(line)
        goes_on = line.endswith("\\")
    return "\n".join(lines) + "\n"


def lines_of(listing: str, function: str, count: int) -> tuple[int, ...]:
    """The line of each of ``count`` instructions, 0 where the listing does not say.

    The two halves of a ``ld_imm64`` are two instructions. A line that stands for several
    instructions is printed before the first of them.
    """
    lines = [0] * count
    inside, line, last = False, 0, 0
    for text in listing.splitlines():
        if found := _FUNCTION.match(text):
            inside, line = found[1] == function, 0
        elif not inside:
            continue
        elif found := _LINE.match(text):
            line = int(found[1])
        elif found := _INSTRUCTION.match(text):
            number = int(found[1])
            if number < count:
                lines[last:number] = [lines[last]] * (number - last)
                lines[number], last = line, number
    return tuple(lines)
