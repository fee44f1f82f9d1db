from __future__ import annotations

from bpfprobe.engine.listing import lines_of, numbered

LISTING = """\
Disassembly of function first
; { // Line  88
   0:	bf 17 00 00 00 00 00 00	r7 = r1
; return look(EVENTS, &probe); // Line  42
   1:	18 11 00 00 01 00 00 00 00 00 00 00 00 00 00 00	ld_pseudo	r1, 1, 1
   3:	bf a2 00 00 00 00 00 00	r2 = r10
; } // Line 105
   4:	b7 00 00 00 00 00 00 00	r0 = 0
   5:	95 00 00 00 00 00 00 00	exit

Disassembly of function second
   0:	b7 00 00 00 02 00 00 00	r0 = 2
; { // Line   7
   1:	95 00 00 00 00 00 00 00	exit
"""


def test_each_instruction_has_the_line_printed_before_it() -> None:
    assert lines_of(LISTING, "first", 6) == (88, 42, 42, 42, 105, 105)
    assert lines_of(LISTING, "second", 2) == (0, 7)


def test_what_is_not_listed_has_no_line() -> None:
    assert lines_of(LISTING, "third", 2) == (0, 0)
    assert lines_of("", "first", 1) == (0,)
    assert lines_of(LISTING, "first", 2) == (88, 42)


def test_each_line_says_its_number_unless_it_goes_on() -> None:
    text = "int a;\n#define X \\\n    1\nint b;\n"
    assert numbered(text) == ("#line 1\nint a;\n#line 2\n#define X \\\n    1\n#line 4\nint b;\n")
