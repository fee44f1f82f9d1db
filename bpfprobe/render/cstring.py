"""Prints what has to do with text: reading it, comparing it, matching it with a glob."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError
from bpfprobe.model.glob import MAX_TOKENS, distinct_sets, is_prefix_glob, parse_glob
from bpfprobe.model.value import CommText, ConstantText, Space, TextAt, TextValue

if TYPE_CHECKING:
    from bpfprobe.model.glob import Token
    from bpfprobe.model.value import TextEquals, TextMatches
    from bpfprobe.render.cvalue import ValueWriter

COMM_BYTES = 16
_ANY_STATE = (1 << MAX_TOKENS + 1) - 1


class StringWriter:
    """Writes comparisons of text into a program.

    ``scratch`` is C for memory of ``scratch_bytes`` that holds what is too long for the stack.
    """

    def __init__(
        self, values: ValueWriter, *, stack_bytes: int, scratch: str, scratch_bytes: int
    ) -> None:
        self._values = values
        self._stack_bytes = stack_bytes
        self._scratch = scratch
        self._scratch_bytes = scratch_bytes

    def equals(self, condition: TextEquals) -> str:
        """C that is true when the text is (or is not) exactly the literal."""
        text = condition.text
        if isinstance(text, ConstantText):
            return "1" if (text.value == condition.literal) != condition.negated else "0"
        wanted = condition.literal + b"\0"
        buffer, read = self._read(text, len(wanted) + 1)
        same = _same_bytes(buffer, wanted)
        return f"({read} && !({same}))" if condition.negated else f"({read} && {same})"

    def matches(self, condition: TextMatches) -> str:
        """C that is true when the text fits (or does not fit) the glob."""
        pattern, text = condition.pattern, condition.text
        if is_prefix_glob(pattern):
            wanted = pattern[:-1] if pattern.endswith(b"*") else pattern + b"\0"
            buffer, read = self._read(text, len(wanted) + 1)
            fits = _same_bytes(buffer, wanted) if wanted else "1"
        else:
            size = COMM_BYTES if isinstance(text, CommText) else self._scratch_bytes
            buffer, read = self._read(text, size)
            fits = self._glob(buffer, size, parse_glob(pattern))
        return f"({read} && !({fits}))" if condition.negated else f"({read} && {fits})"

    def _read(self, text: TextValue, size: int) -> tuple[str, str]:
        """Read at most ``size`` bytes; C for the words they fill, and for whether it worked."""
        if isinstance(text, CommText):
            name = self._values.fresh("comm")
            self._values.line(f"u64 {name}[2] = {{}};")
            self._values.line(f"bpf_get_current_comm({name}, sizeof({name}));")
            return name, "1"
        if not isinstance(text, TextAt):
            raise BpfprobeError("constant text reached the printer of comparisons")
        pointer = self._values.value(text.pointer)
        length = self._values.fresh("length")
        if size <= self._stack_bytes:
            name = self._values.fresh("text")
            self._values.line(f"u64 {name}[{-(-size // 8)}] = {{}};")
        else:
            name = self._scratch
            if -(-size // 8) * 8 > self._scratch_bytes:
                raise BpfprobeError("the plan left too little scratch for a comparison")
        most = str(min(size, text.size) if text.size else size)
        self._values.line(f"long {length} = {read_string(text.space, name, most, pointer.text)};")
        fault = f" && !({pointer.fault})" if pointer.fault else ""
        return name, f"{length} > 0{fault}"

    def _glob(self, buffer: str, size: int, tokens: tuple[Token, ...]) -> str:
        """A loop that follows all ways through the pattern at once, a bit for each step."""
        write = self._values
        states, fits, none = write.fresh("states"), write.fresh("fits"), write.fresh("none")
        stars = sum(1 << n for n, token in enumerate(tokens) if token.is_star)
        last = 1 << len(tokens)
        # Always 0, which the verifier does not know: each state that it knew to the bit would be
        # walked for itself, and there are more of them than it has patience for.
        write.line(f"u64 {none} = thread >> 63;")
        write.line(f'asm volatile("" : "+r"({none}));')
        write.line(f"{none} *= {_ANY_STATE:#x}ULL;")
        write.line(f"u64 {states} = {none} | {1 | ((1 & stars) << 1)};")
        write.line("#pragma clang loop unroll(disable)")
        with write.block(f"for (u32 i = 0; i < {size}; i++)"):
            write.line(f"u64 byte = ((u8 *){buffer})[i];")
            with write.block("if (!byte)"):
                write.line("break;")
            # Branches would multiply the paths that the verifier walks: so arithmetic, and on a
            # number of which the compiler knows too little to turn it into branches again.
            write.line('asm volatile("" : "+r"(byte));')
            write.line(f"u64 accepted = {none};")
            write.line("u64 hit;")
            for test, mask in _byte_tests(tokens):
                write.line(f"hit = {test};")
                # Else 0 or 1 times a mask becomes an arithmetic shift, at which new verifiers fork.
                write.line('asm volatile("" : "+r"(hit));')
                write.line(f"accepted |= hit * {mask:#x}ULL;")
            write.line(f"{states} = (({states} & accepted) << 1) | ({states} & {stars:#x}ULL);")
            write.line(f"{states} |= ({states} & {stars:#x}ULL) << 1;")
        write.line(f"u8 {fits} = ({states} & {last:#x}ULL) != 0;")
        return fits


def read_string(space: Space, to: str, size: str, pointer: str) -> str:
    """A call that copies a string up to its NUL and gives its length with it, or below 0."""
    if space is Space.ANY:
        return f"read_any_str({to}, {size}, {pointer})"
    helper = "bpf_probe_read_user_str" if space is Space.USER else "bpf_probe_read_kernel_str"
    return f"{helper}({to}, {size}, (void *)({pointer}))"


def _same_bytes(words: str, wanted: bytes) -> str:
    """Compare 8 bytes at a time; what follows the last byte is masked away."""
    tests = []
    for at in range(0, len(wanted), 8):
        part = wanted[at : at + 8]
        value = int.from_bytes(part, "little")
        word = f"((u64 *){words})[{at // 8}]"
        if len(part) < 8:
            word = f"({word} & {(1 << 8 * len(part)) - 1:#x}ULL)"
        tests.append(f"{word} == {value:#x}ULL")
    return "(" + " && ".join(tests) + ")"


def _byte_tests(tokens: tuple[Token, ...]) -> list[tuple[str, int]]:
    """For each distinct set of bytes, C that is 1 for its members, and the steps that take it."""
    tests = []
    for token, mask in distinct_sets(tokens):
        inside = " | ".join(
            f"(((byte ^ {low}) - 1) >> 63)"
            if low == high
            else f"((((byte - {low}) | ({high} - byte)) >> 63) ^ 1)"
            for low, high in token.ranges
        )
        tests.append((f"({inside}) ^ 1" if token.negated else inside, mask))
    return tests
