from __future__ import annotations

import json
import math
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import bpfprobe as bp
from bpfprobe.deliver.decode import Decoder
from bpfprobe.deliver.escape import escape
from bpfprobe.deliver.json_lines import json_line
from bpfprobe.deliver.table import Table
from bpfprobe.testing import pack_record
from tests.sample_machine import one_plan

ANY_TEXT = st.text(st.characters(exclude_categories=()))
_NAMES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def unescape(text: str) -> str:
    def char(found: re.Match[str]) -> str:
        code = found[1]
        if code in _NAMES:
            return _NAMES[code]
        number = int(code[1:], 16)
        return chr(number + 0xDC00) if code[0] == "x" and number >= 0x80 else chr(number)

    return re.sub(r"\\(x..|u....|U.{8}|.)", char, text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 漢字", "plain äöü 漢字"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\u009b31m"),
        ("\udc9b31m", r"\x9b31m"),
        ("C:\\n", r"C:\\n"),
        ("\x00\x7f", r"\x00\x7f"),
        ("\u202etxt.exe", r"\u202etxt.exe"),
        ("\u00ad\u00a0\u2028", r"\u00ad\u00a0\u2028"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("", ""),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(ANY_TEXT)
@example("\x85\udc85")
@example("\\x41")
def test_what_is_escaped_is_safe_and_can_be_had_back(text: str) -> None:
    shown = escape(text)
    for char in shown:
        assert ord(char) >= 0x20
        assert not 0x7F <= ord(char) <= 0x9F
        assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    assert unescape(shown) == text


LAYOUT = one_plan(
    bp.kprobe("untyped", path="+0(%si):string", n="+0(%si):s32", ok="$arg1:bool", l="argv")
).layout
DECODER = Decoder([LAYOUT])


def test_a_line_of_json_has_every_field() -> None:
    record = pack_record(LAYOUT, pid=1, comm="x", path="/tmp", n=-1, ok=1, l=["a"], truncated=["l"])
    assert json_line(DECODER.event(record)) == (
        '{"probe":"untyped","time":0,"pid":1,"tid":0,"cpu":0,"comm":"x","path":"/tmp","n":-1,'
        '"ok":true,"l":["a"],"truncated":["l"]}'
    )
    line = json.loads(json_line(DECODER.event(pack_record(LAYOUT, ok=0))))
    assert line["path"] is None
    assert line["faults"] == ["l", "n", "path"]
    assert "truncated" not in line


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\0", b"")))
@example(bytes(range(1, 256)))
def test_every_byte_comes_back_from_json(data: bytes) -> None:
    line = json_line(DECODER.event(pack_record(LAYOUT, path=data, l=[data])))
    assert line.isascii()
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["path"].encode("utf-8", "surrogateescape") == data
    assert fields["l"][0].encode("utf-8", "surrogateescape") == data


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")]
)
def test_floats_that_json_has_no_form_for(value: float, text: str) -> None:
    layout = one_plan(bp.kprobe("untyped", one="+0(%si):f64", two="+8(%si):f32[2]")).layout
    event = Decoder([layout]).event(pack_record(layout, one=value, two=(1.5, value)))
    line = json.loads(json_line(event), parse_constant=pytest.fail)
    assert (line["one"], line["two"]) == (text, [1.5, text])
    assert str(float(line["one"])) == str(value)


def test_floats_for_people() -> None:
    layout = one_plan(bp.kprobe("untyped", f="+0(%si):f32", d="+8(%si):f64", l="+0(%si):f32[2]"))
    event = Decoder([layout.layout]).event(
        pack_record(layout.layout, f=0.1, d=0.1, l=(0.1, math.nan))
    )
    assert Table([layout.layout]).row(event).split()[1:] == ["0.1", "0.1", "{0.1,nan}"]
