from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpfprobe.cli.given_specs import specs_in
from bpfprobe.errors import SpecError, TargetError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
# two places of one event
p:moved vfs_read count=$arg3   # the first
p:moved vfs_write count=$arg3

r:opened do_sys_openat2 path=$arg2:ustring if path ~ "*#*"
"""


def test_a_description_a_line_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "probes"
    file.write_text(TEXT.replace("count=", "n="))
    sources = [spec.source for spec in specs_in(str(file))]
    assert [(source.label, source.text) for source in sources] == [
        (f"{file}:2", "p:moved vfs_read n=$arg3"),
        (f"{file}:3", "p:moved vfs_write n=$arg3"),
        (f"{file}:5", 'r:opened do_sys_openat2 path=$arg2:ustring if path ~ "*#*"'),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("p:a f %ax\np:a g %", "BAD_REG_NAME", 2),
        ("p:a f %ax\n\np:a f %ax", "SAME_PROBE", 3),
        ("p:a f x=%ax\nr:a f x=%ax", "DIFF_PROBE_TYPE", 2),
        ("p:a f x=%ax\np:a g y=%ax", "DIFF_ARG_TYPE", 2),
    ],
)
def test_mistakes_are_told_with_file_and_line(
    tmp_path: Path, text: str, code: str, line: int
) -> None:
    file = tmp_path / "probes"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        specs_in(str(file))
    assert caught.value.code == code
    assert str(caught.value).startswith(f"{file}:{line}: ")


def test_what_is_no_file_of_descriptions(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, code in (("missing", "NO_FILE"), (".", "NOT_REGULAR"), ("binary", "NOT_TEXT")):
        with pytest.raises(TargetError) as caught:
            specs_in(str(tmp_path / name))
        assert caught.value.code == code
