from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bpfprobe.model.regex import regex


def test_it_does_what_a_compiled_one_does() -> None:
    word = regex(r"(?P<first>[a-z])(\w*)", re.IGNORECASE)
    found = word.fullmatch("Abc")
    assert found is not None
    assert (found["first"], found[2]) == ("A", "bc")
    assert word.fullmatch("Abc") is not None
    assert word.fullmatch("1") is None
    assert word.findall("ab cd") == [("a", "b"), ("c", "d")]
    assert (word.sub("-", "ab cd"), word.split("1ab2")) == ("- -", ["1", "a", "b2", ""])
    assert (word.groups, word.flags & re.IGNORECASE) == (2, 2)
    data = regex(rb"\d+").search(b"x12")
    assert data is not None
    assert data[0] == b"12"


def test_making_one_compiles_nothing() -> None:
    code = (
        "import sys; from bpfprobe.model.regex import regex; made = regex('[unclosed')\n"
        "print('re' in sys.modules)\n"
        "try: made.match('x')\n"
        "except Exception as error: print(type(error).__name__, 're' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "False\nerror True\n"
