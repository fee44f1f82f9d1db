"""A cast in which a name is missing says so where it is missing."""

from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.definition import parse_definition


@pytest.mark.parametrize(
    ("marked", "code"),
    [
        ("(task_struct,^.pid)file->comm", "NO_BTF_FIELD"),
        ("(task_struct,^->pid)file->comm", "NO_BTF_FIELD"),
        ("(task_struct,^.)file->comm", "NO_BTF_FIELD"),
        ("(task_struct,^)file->comm", "NO_BTF_FIELD"),
        ("(file,a.^.b)x->y", "NO_BTF_FIELD"),
        ("(file,a.^)x->y", "NO_BTF_FIELD"),
        ("(^,pid)file->comm", "NO_PTR_STRCT"),
        ("(^)file->comm", "NO_PTR_STRCT"),
        ("^(file x", "TOO_MANY_OPEN"),
    ],
)
def test_what_is_missing(marked: str, code: str) -> None:
    before, after = f"p vfs_read arg1={marked}".split("^")
    with pytest.raises(SpecError) as raised:
        parse_definition(SourceText(before + after))
    (found,) = raised.value.diagnostics
    assert (found.code, found.span.start) == (code, len(before))
    assert "arg1" in str(raised.value)
