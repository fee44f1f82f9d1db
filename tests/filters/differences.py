"""Where our verdict on a filter is not the kernel's, on purpose. Any other difference is a mistake.

``docs/filters.md`` has the same list in prose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bpfprobe.model import expression as ast

# What `tests.filters.verdicts` does as the kernel does: a reason, and filters that show it, by
# scene. A kernel that has one of them mended fails the test, and the entry goes.
MISTAKES_OF_THE_KERNEL = {
    "a glob that begins with a digit is compared as plain text": {
        "kernel_function": ("text ~ '1*'", "text ~ '!12*'"),
        "thread_names": ("newcomm ~ '1*'",),
    },
    "a star and then text looks at the end of an array, whatever is there behind the text": {
        "thread_names": ("newcomm ~ '*sh'", "COMM ~ '*sh'", "newcomm ~ '!*sh'"),
    },
    "a mask on CPU is never true": {"kernel_function": ("CPU & 1", "!CPU & 1")},
    "without .ustring, a pointer to user memory is read as one to the kernel's": {
        "opened_files": (
            "filename == '/etc/passwd'",
            "filename ~ '/tmp/*'",
            "!filename ~ '/tmp/*'",
        ),
    },
    "a text of any length is seen whole; we look at 1023 bytes": {
        "kernel_function": ("text ~ '*z'", "text ~ '*yyz'"),
    },
}


@dataclass(frozen=True, slots=True)
class Refused:
    """What the kernel takes and we refuse: our error's code, what such filters look like, why."""

    code: str
    pattern: str
    reason: str

    def covers(self, text: str, code: str) -> bool:
        return code == self.code and re.search(self.pattern, text, re.DOTALL) is not None


REFUSED_HERE = (
    Refused("ILLEGAL_INTVAL", r"\d", "the kernel cuts a number to the field: u8 == 300 is 44"),
    Refused("MEANINGLESS", r"< *-?0[x0]*(?![1-9a-f])", "nothing unsigned is below 0"),
    Refused("MEANINGLESS", r"(?i)comm *[!=]= *['\"]", "a thread's name has at most 15 bytes"),
    Refused("MEANINGLESS", r"CPUS\{", "one CPU is never equal to several"),
    Refused("BAD_IMM", r"\\", "our strings have escapes, and this is none"),
    Refused("FIELD_NOT_FOUND", r"stacktrace|STACKTRACE", "it would compare the record's header"),
    Refused("FIELD_NOT_FOUND", r"common_type", "the same at every hit"),
    Refused("FIELD_NOT_FOUND", r"common_(flags|preempt_count)", "no program is told"),
    Refused("FIELD_NOT_FOUND", r"__probe_(ip|func|ret_ip)", "the same at every hit, or not told"),
    Refused("NOSUP_DAT_ARG", r"\.ustring", "a number is no text, with .ustring neither"),
    Refused("INVALID_CPULIST", r"CPUS\{", "the kernel may count CPUs that cannot be there"),
    Refused("INVALID_VALUE", r"(&&|\|\||!|\() *\)* *$", "an operator with nothing behind it"),
    Refused("NO_ARG_BODY", r"(&&|\|\||!|\() *\)* *$", "an operator with nothing behind it"),
    Refused("OPERAND_TOO_LONG", r"~", "a glob has at most 62 characters"),
)

TAKEN_HERE = (
    Refused(
        "ILLEGAL_INTVAL", r"[abc]64 *[!=]= *-", "-1 is how people write a register full of ones"
    ),
    Refused(
        "ILLEGAL_INTVAL", r"b64 *[!=]= *(0x)?", "a signed number may be written in hexadecimal"
    ),
    Refused("EXPECT_DIGIT", r"'.'", "a character is a number where it is compared with one"),
    Refused("FIELD_NOT_FOUND", r"\b(pid|uid)\b", "builtins go by their names"),
    Refused("ILLEGAL_INTVAL", r"& *-", "a mask may be written as the bits that it leaves out"),
)
"""What the kernel refuses, with its name for it, and we take."""


def is_of_the_kernel(node: ast.Expression) -> bool:
    """Whether the expression has nothing that only ours have."""
    if isinstance(node, ast.Unary):
        return node.operator == "!" and is_of_the_kernel(node.operand)
    if not isinstance(node, ast.Binary):
        return False
    if node.operator in ("&&", "||"):
        return is_of_the_kernel(node.left) and is_of_the_kernel(node.right)
    if node.operator not in ("==", "!=", "<", "<=", ">", ">=", "&", "~"):
        return False
    field = re.fullmatch(r"\w+(\.ustring|\.function)?", node.left.span.text)
    value = re.fullmatch(r"-?\w+|'.*'|\".*\"|CPUS\{.*\}", node.right.span.text, re.DOTALL)
    is_field = isinstance(node.left, (ast.Name, ast.MemberOf))
    is_name = isinstance(node.right, ast.Name)
    return bool(field and value and is_field and (not is_name or field[1] == ".function"))
