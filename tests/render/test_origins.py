"""Each line of C knows the part of the description whose work it does."""

from __future__ import annotations

import bpfprobe as bp
from bpfprobe.pipeline import describe
from tests.sample_machine import machine


def test_lines_of_captures_and_of_the_filter() -> None:
    text = (
        "r:opened do_sys_openat2 path=filename:ustring how->flags $retval if entry(how->mode) == 4"
    )
    source = describe([bp.probe(text)], machine()).source
    lines = source.text.splitlines()
    parts: dict[str, str] = {}
    for origin in source.origins:
        assert 1 <= origin.first <= origin.last <= len(lines)
        part = "\n".join(lines[origin.first - 1 : origin.last])
        parts[origin.span.text] = parts.get(origin.span.text, "") + part + "\n"
    assert set(parts) == {
        "path=filename:ustring", "how->flags", "$retval", "entry(how->mode) == 4",
    }  # fmt: skip
    assert "read_user_str(" in parts["path=filename:ustring"]
    assert "->flags" in parts["how->flags"]
    assert "REGISTER(ax)" in parts["$retval"]
    assert "->mode" in parts["entry(how->mode) == 4"]
    assert "return 0;" in parts["entry(how->mode) == 4"]


def test_a_line_that_every_event_needs_has_none() -> None:
    source = describe([bp.kprobe("vfs_read", n="count")], machine()).source
    lines = source.text.splitlines()
    (counting,) = [n for n, line in enumerate(lines, 1) if "COUNT(produced)" in line]
    assert source.origin(counting) is None
    (taking,) = [n for n, line in enumerate(lines, 1) if "event->f_n =" in line]
    span = source.origin(taking)
    assert span is not None
    assert (span.text, span.source.label) == ("count", "capture n")
