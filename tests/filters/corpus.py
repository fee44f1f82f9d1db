"""Filters that the kernel takes and so do we, by what they are about."""

from __future__ import annotations

from tests.filters.fields import PLACES, range_of

_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "&")


def _numbers() -> list[str]:
    """Every operator on every type, at its ends and in between, in each notation."""
    found = []
    for name, (_, type_) in PLACES.items():
        if name in ("place", "near"):
            continue
        low, high = range_of(type_)
        for at, operator in enumerate(_OPERATORS):
            numbers = (3, high, low) if operator not in ("<", "&") else (42, high)
            number = numbers[at % len(numbers)]
            found.append(f"{name} {operator} {number}")
        found += [f"{name}=={high:#x}", f"{name} != 0{7:o}", f"{name}&{1 << 3}", f"{name} >= 02"]
        if low:
            found += [f"{name} < {low + 1}", f"{name} > -0x2b"]
        if low and type_ != "s64":  # the kernel reads its numbers as signed ones of 64 bits
            found.append(f"{name} == {2 * high + 1:#x}")
    return found


NUMBERS = _numbers()
TEXTS = (
    "text == ''", "text != ''", "text == 'a'", 'text == "a"', "text != 'abc'", "text == '/tmp/x'",
    "text == \"it's\"", "text == 'say \"hi\"'", "text == 'näh'", "text == ' '", "text == '-'",
    "text == 'a*c'", "text == '!abc'", "text == 'ab'", "text == 'abcd'", f"text == '{'x' * 255}'",
    f"text != '{'x' * 255}'", "text == '12abc'", "text ~ '*'", "text ~ '!*'", "text ~ ''",
    "text ~ '!'", "text ~ 'a'", "text ~ 'a*'", "text ~ '*c'", "text ~ '*b*'", "text ~ 'a*c'",
    "text ~ 'a?c'", "text ~ '???'", "text ~ '?'", "text ~ '[ab]'", "text ~ '[!ab]'",
    "text ~ 'ab[a-c]'", "text ~ 'ab[!a-c]'", "text ~ '[a-cx-z]*'", "text ~ '!abc'",
    "text ~ '!!abc'", "text ~ '/tmp/*'", "text ~ '/*/*.txt'", "text ~ '*/*/*'", "text ~ '**'",
    "text ~ '***'", "text ~ '**c'", "text ~ 'a**c'", "text ~ 'x*'", "text ~ '*x'",
    f"text ~ '{'x' * 250}*'", "text ~ '*z'", "text ~ '*yz'", "text ~ 'a[b'", "text ~ '[a'",
    "text ~ '[]a]*'", "text ~ '[!]]*'", "text ~ '[a-]*'", r"text ~ 'a\*c'", r"text ~ '\?'",
    r"text ~ 'a\[b'", "text ~ 'h*'", "text ~ '*h'", "text ~ 'n?h'", "text ~ 'n??h'", "text ~ ' *'",
    "text ~ 'bas[!i]'", "text ~ '[m-o]ginx'", "text ~ '*[x-z]'", "text ~ 'a[b-]c'",
    "!text == 'abc'", "!(text == 'abc')", "!(text != 'abc')", "!(text ~ 'a*')", "!!text ~ 'a*'",
    "!!!(text == 'abc' || text == 'abd')", "text == 'abc' && !text ~ 'x*'",
)  # fmt: skip
LOGIC = (
    "a8 == 3 && b8 < 0", "a8 == 3 || b8 < 0", "a8 == 3&&b8<0||a16>7",
    "a8 == 3 && (b8 < 0 || a16 > 7)", "(a8 == 3 || b8 < 0) && (a16 > 7 || b16 < 0)",
    "!(a8 == 3 && b8 < 0)", "!(a8 == 3 || b8 < 0)", "!(!(a8 == 3) || !(b8 < 0))", "((((a8 == 3))))",
    "!!a8 == 3", "! ! ! a8 == 3", "a8 == 0 || a8 == 1 || a8 == 2 || a8 == 3",
    "a8 != 0 && a8 != 1 && a8 != 2 && a8 != 3", "a8 > 1 && a8 < 43 || b8 > 1 && b8 < 43",
    "!a8 & 1 && !b8 & 1", "!(a8 & 1) || !(b8 & 1)",
    "a8 == 3 && text == 'abc' || b8 == -1 && text ~ '*a*'", "!(a8 > 3 && (b8 > 3 || !(a16 > 3)))",
    "  a8==3  ", "a8\t==\t3", "0", " || ".join(f"a8 == {number}" for number in range(40)),
    " && ".join(f"a64 != {number}" for number in range(40)), "(" * 20 + "a8 < 42" + ")" * 20,
)  # fmt: skip
OF_EVERY_EVENT = (
    "COMM == 'driver'", "COMM != 'driver'", "comm ~ 'dri*'", "comm ~ '!dri*'", "COMM == 'drive'",
    "COMM ~ '*rive*'", "COMM ~ '?river'", "CPU == 0", "CPU == 1", "cpu != 0", "CPU < 1", "CPU >= 1",
    "CPU > 7", "common_pid == 1", "common_pid != 1", "common_pid > 1", "!common_pid == 1",
    "cpu == 0 && a8 < 42", "CPU == 1 || text ~ 'a*'",
)  # fmt: skip
FUNCTIONS = (
    "place.function == vfs_read", "place.function != vfs_read", "place.function == vfs_write",
    "place.function == vfs_read || place.function == vfs_write", "!place.function == vfs_read",
    "place.function != vfs_read && place.function != vfs_write && a8 < 42",
)  # fmt: skip
"""Since Linux 6.4."""
CPU_SETS = (
    "near == CPUS{0}", "near != CPUS{0}", "near & CPUS{0}", "near & CPUS{0-1}", "near & CPUS{0,1}",
    "!near & CPUS{0-1}", "CPU == CPUS{0}", "CPU & CPUS{1}", "CPU != CPUS{1}", "CPU & CPUS{0-1}",
    "cpu & CPUS{0,1} && a8 < 42", "a64 & CPUS{0-1}", "a32 & CPUS{1}", "b16 & CPUS{0-1}",
)  # fmt: skip
"""Since Linux 6.6."""

ON_THREAD_NAMES = (
    "newcomm == 'bash'", "newcomm != 'bash'", "newcomm == 'sh'", "newcomm == ''",
    "oldcomm == 'bash'", f"newcomm == '{'x' * 15}'", "newcomm ~ 'bash*'", "newcomm ~ '!bash*'",
    "newcomm ~ '*sh*'", "newcomm ~ '*ab*'", "newcomm ~ '[a-b]*'", "newcomm ~ '?'", "newcomm ~ '??'",
    "newcomm ~ '*:?'", "newcomm ~ 'a[bc]?'", "newcomm ~ '*'", "newcomm ~ '!*'",
    "newcomm ~ 'Web*Content'", "COMM == 'driver'", "COMM ~ 'ab*'",
    "COMM == 'bash' || newcomm == 'bash'", "newcomm ~ 'ab*' && oldcomm ~ 'ab*'",
    "oom_score_adj == -1000", "oom_score_adj < 0", "oom_score_adj >= 300", "oom_score_adj & 8",
    "oom_score_adj == 0xfc18", "oom_score_adj != 01750", "pid > 0", "pid < 0",
    "!newcomm ~ '*sh*' && oom_score_adj > 0", "newcomm == '1' || newcomm == 'näh'",
)  # fmt: skip
ON_OPENED_FILES = (
    "filename.ustring == '/etc/passwd'", "filename.ustring != '/etc/passwd'",
    "filename.ustring ~ '/tmp/*'", "filename.ustring ~ '!/tmp/*'", "filename.ustring ~ '*.txt'",
    "filename.ustring ~ '*passwd*'", "filename.ustring ~ '/*/?'", "!filename.ustring == '/tmp/x'",
    "!filename.ustring ~ '/tmp/*'", "!(filename.ustring != '/tmp/x')", "filename.ustring == ''",
    "filename.ustring ~ '*'", "filename.ustring ~ '!*'", "filename.ustring ~ '/[a-e]*'",
    r"filename.ustring ~ '/tmp/a\*c'", f"filename.ustring == '/{'d' * 200}'", "flags & 1",
    "flags == 0", "flags & 0x80000 && filename.ustring ~ '/*'", "mode == 0600", "mode >= 0604",
    "dfd == 0xffffffffffffeffc", "dfd > 0xffffffffffffeff0", "__syscall_nr == 257",
    "flags == 1 || filename.ustring ~ '/etc/*'", "flags & 1 && !(filename.ustring ~ '/tmp/*')",
)  # fmt: skip
ON_SENT_PACKETS = (
    "name == 'lo'", "name != 'lo'", "name ~ 'l*'", "name ~ '*o'", "name ~ '!l*'", "name ~ '??'",
    "name == 'l'", "name == 'lo0'", "len > 100", "len == 43", "len & 1", "!len & 1", "len <= 0x55",
    "name == 'lo' && len > 500", "name == 'eth0' || len == 84", "len == 043", "name ~ '[k-m]o'",
)  # fmt: skip

REFUSED = (
    # one mistake each: the kernel's name for it is ours
    "nothing == 1", "!nothing == 1", "a8 == 1 && nothing == 2", "nothing.ustring == 'x'", "a8 = 1",
    "a8 =! 1", "a8 !~ 'x'", "a8 1", "text", "text 'abc'", "a8 ? 1", "a8 == 1 && b8 = 2", "(a8 == 1",
    "((a8 == 1)", "a8 == 1 && (b8 == 2 || (a16 == 3)", "a8 == 1)", "a8 == 1 || b8 == 2))",
    ")a8 == 1(", "text == 'abc", 'text == "abc', "text == 'abc\"", "a8 == 1 && text == '",
    "text == 'it's'", f"text == '{'x' * 256}'", f"text ~ '{'x' * 256}'", f"a8 == {'1' * 24}",
    "text == 5", "text != 0x10", "text ~ 5", "comm == 5", "COMM != 5", "text >= 0", "a8 == 'xy'",
    "a8 == \"xy\"", "a8 ~ 'xy'", "a8 != ''", "CPU == 'xy'", "common_pid ~ '1*'", "text < 'x'",
    "text >= 'xy'", "text & 'x'", "comm < 'xy'", "a8 < 'xy'", "a8 & 'xy'", "a8 ~ 5", "a64 ~ 0",
    "a8 == 08", "a8 == 12ab", "a8 == 0x", "a8 == 0xg", "a8 == -1", "a32 == -42", "a8 < -1",
    "a8 == -", "a8 == 18446744073709551616", "b64 == -9223372036854775809", "common_pid == 1_0",
    "a8 == x", "a8 == text", "text == abc", "comm == driver", "a8 ==", "a8 == +5",
    "a8 == ;", "a8 == 1 && b8 >", "text == `x`", "a8 == 1 2", "a8 == 1 b8 == 2", "a8 == 1 b8",
    "text == 'abc' 'abd'", "(a8 == 1)(b8 == 2)", "a8 == 1 == 2", "a8 == 1 ; b8 == 2",
    "a8 == 1, b8 == 2", "a8 == 1 &", "a8 == 1 |", "text == 'a'b", "!", "!!", "! !",
)  # fmt: skip
REFUSED_FUNCTIONS = (
    "place.function == no_such_function", "place.function != no_such_function",
    "place.function == 0x10", "place.function < vfs_read", "place.function ~ vfs_read",
    "place.function & vfs_read", "a8.function == vfs_read", "a32.function == vfs_read",
    "text.function == vfs_read",
)  # fmt: skip
REFUSED_CPU_SETS = (
    "near & CPUS", "near & CPUS0", "near & CPUS 0", "near & CPUS{0", "near == CPUS{",
    "near & CPUS{}", "near & CPUS{x}", "near & CPUS{1-0}", "near & CPUS{99999}", "near & CPUS{0-}",
    "near < CPUS{0}", "near ~ CPUS{0}", "text & CPUS{0}", "comm == CPUS{0}", "near & CPUS{0:0/1}",
    "near & CPUS{0} 1",
)  # fmt: skip
MEANT_TO_DIFFER = (
    # taken by the kernel
    "a8 == 300", "a8 < 256", "b8 < 200", "a32 == 0x100000001", "b8 == 256", "a8 & 0x100", "a8 < 0",
    "a64 < 0", "comm == 'sixteen-bytes-xx'", "COMM != 'sixteen-bytes-xx'", r"text == 'a\d'",
    "common_type == 1", "common_flags == 1", "common_preempt_count == 0", "__probe_ip == 1",
    "a8.ustring == 1", "CPU == -1", "common_cpu == 0x100000000",
    # taken by us
    "a8 + 1 == 4", "a8 == b8", "(a8) == 3", "a8 == (3)", "3 == a8", "'a' == text", "a8 && b8",
    "!a8", "a8 == 'x'", "a64 == -1", "b64 == 0xffffffffffffffff", "a8 << 1 == 6", "(a8 & 3) == 3",
    "a8 & 3 == 3", "a8 | 1 == 3", "pid == 1", "uid == 0", "a32 & -8", "- 5 < b8",
)  # fmt: skip
"""Not all of them on every kernel."""
