"""Whatever a name, a message or a file says, what is printed is lines of printable characters."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.cli.listing import list_points
from bpfprobe.cli.main import main
from bpfprobe.deliver.decode import Decoder
from bpfprobe.deliver.json_lines import json_line
from bpfprobe.errors import BpfprobeError, Diagnostic, SpecError
from bpfprobe.lab.errors import GuestFault
from bpfprobe.model.machine import BinarySymbol, FileOffset, VirtualAddress
from bpfprobe.model.printable import columns, printable
from bpfprobe.model.span import SourceText
from bpfprobe.output import report, show, show_json, show_text
from bpfprobe.testing import StaticTarget, pack_record, record_target
from tests.sample_machine import machine, one_plan

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;title\a",
    "C1": "\x9b31m\x85\x90q\x9c",
    "line": "x\nforged",
    "return": "x\r\b\b\v\f\x7f",
    "bidi": "\u202etxt.exe\u202c\u2066a\u2069",
    "unseen": "\u200b\u2028\u2029\ufeff\u00ad",
    "bytes": "\udcff\udc9b31m",
    "surrogate": "\ud83d",
    "private": "\U000e0041\ue000",
    "tab": "a\tb",
}
CAN_BE_TYPED = {kind: text for kind, text in HOSTILE.items() if kind != "surrogate"}
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def safe(output: str) -> list[str]:
    """The lines, if there is nothing in them but what can be seen, and tabs, which are harmless."""
    lines = output.removesuffix("\n").split("\n")
    assert [line for line in lines if not line.replace("\t", "").isprintable()] == []
    return lines


@hostile
def test_a_printable_line_is_one_and_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown != text
    assert printable(shown) == shown
    assert printable("a\\b c\u4e2d") == "a\\b c\u4e2d"


@hostile
def test_the_streams_get_lines(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(text, text)
    report(text)
    show_json({text: text})
    captured = capsys.readouterr()
    assert len(safe(captured.out)) == 5
    assert len(safe(captured.err)) == 1
    assert json.loads("".join(captured.out.split("\n")[2:])) == {text: text}


def test_a_text_of_ours_has_lines_and_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    show_text("a\n\tb\x1b\n")  # a row of its own ends with an empty line
    assert capsys.readouterr().out == "a\n\tb\\x1b\n\n"


@hostile
def test_the_text_of_an_error_has_the_lines_that_it_should(text: str) -> None:
    span = SourceText(f'f "{text}" z', text).span(2, 3)
    found = [
        (BpfprobeError(text, hint=text), 2),
        (SpecError([Diagnostic("CODE", text, span, text)]), 4),
        (GuestFault(text, hint=text, console=text.encode(errors="surrogatepass")), None),
    ]
    for error, count in found:
        lines = safe(str(error))
        assert count in (None, len(lines))
        assert error.args == (text,), "programs get the message itself"


@pytest.mark.parametrize(
    ("before", "marked", "room"),
    [
        ("\x1b[31m", "bad", 8),
        ("\u202e", "bad", 6),
        ("\udcff", "bad", 4),
        ("\t", "bad", 2),
        ("\u4e2d\u6587", "bad", 4),  # wide
        ("e\u0301 ", "bad", 2),  # an accent of its own has no room
        ("\U0001f600", "bad", 2),
        ("", "b\x1bd", 0),
        ("x" * 200 + "\x1b" * 50, "bad", None),
        ("\u4e2d" * 200, "bad", None),
        ("", "\x1b" * 200, 0),
    ],
)
def test_the_caret_stands_below_what_it_means(before: str, marked: str, room: int | None) -> None:
    text = f"f {before}{marked} z"
    start = 2 + len(before)
    line, below = SourceText(text).span(start, start + len(marked)).drawing()
    safe(f"{line}\n{below}")
    indent = len(below) - len(below.lstrip(" "))
    assert room is None or indent == 4 + room
    cut = next(n for n in range(len(line) + 1) if columns(line[:n]) == indent)
    pointed = line[cut:]
    assert pointed.startswith(printable(marked)[:100])
    if len(printable(marked)) < 100:
        assert columns(printable(marked)) == len(below.strip())
    assert len(line) < 140


@hostile
def test_listings_and_their_near_misses(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = f"/tmp/{text}"
    symbol = BinarySymbol(f"walk{text}", VirtualAddress(0x401100), FileOffset(0x1100), 64)
    target = machine(binaries={path: [symbol]})
    show(*list_points(f"uprobe:{path}:*", target))
    with pytest.raises(BpfprobeError) as caught:
        list(list_points(f"uprobe:{path}:wolk{text}", target))
    with pytest.raises(BpfprobeError) as refused:
        bp.Session(bp.uprobe(path, f"wolk{text}"), target=target).c_source()
    assert len(safe(capsys.readouterr().out)) == 1
    for error in (caught, refused):
        safe(str(error.value))


def ran(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Status, output and errors of a command line."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.out, captured.err


@pytest.mark.parametrize("text", CAN_BE_TYPED.values(), ids=CAN_BE_TYPED)
@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        ["trace", "--{}"],
        ["trace", "-p", "{}", "p x"],
        ["trace", "{}"],
        ["trace", "p {}"],
        ["trace", "p x a={}"],
        ["trace", "--file", "/tmp/{}"],
        ["trace", "--uid", "{}", "p x"],
        ["trace", "/tmp/{}.bpfo"],
        ["list", "{}"],
        ["list", "uprobe:/tmp/{}:x"],
        ["list", "usdt:/tmp/{}:x"],
        ["explain", "uprobe:/tmp/{}:x"],
        ["explain", "--target", "/tmp/{}", "p x"],
        ["check", "/tmp/{}"],
        ["check", "p x", "--target", "/tmp/{}"],
        ["build", "p x", "--btf", "/tmp/{}", "-o", "/tmp/{}"],
        ["cache", "{}"],
        ["lab", "--kernel", "{}", "--", "true"],
        ["lab", "--timeout", "{}", "--", "true"],
    ],
    ids=" ".join,
)
def test_what_the_command_line_says_of_its_words(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = ran(*(word.format(text) for word in words), capsys=capsys)
    assert status
    assert err
    safe(out)
    assert [line for line in safe(err) if line.startswith("forged")] == []


@hostile
def test_a_recording_of_hostile_names(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a machine is called, its types and its arguments come from the file."""
    structs = {"inner": "int member;"}
    recording = record_target(
        StaticTarget(functions=["int f(struct inner *first)"], structs=structs)
    )
    release = recording.facts().release
    names = ("first->member", "first->membre", "fist")
    for name in names:
        with contextlib.suppress(SpecError):
            bp.Session(bp.kprobe("f", captures={"x": name}), target=recording).c_source()
    path = tmp_path / "there.json"
    recording.write(path)
    stored = path.read_text()
    for word in ("inner", "first", "member", release):
        assert f'"{word}"' in stored
        stored = stored.replace(f'"{word}"', json.dumps(f"{word}{text}"))
    path.write_text(stored)
    for command in (["explain"], ["explain", "--ftrace"], ["check"], ["check", "--json"]):
        for name in names:
            _, out, err = ran(*command, f"p f x={name}", "--target", str(path), capsys=capsys)
            safe(out)
            safe(err)
            assert out or err
            if "--json" in command and out:  # a recording with lone surrogates is refused
                json.loads(out)


PROGRAM = """
#include "marker.h"
struct record_type_name { int member_name; };
int symbol_name_(struct record_type_name *argument_na) { return argument_na->member_name; }
int main(void)
{
    struct record_type_name r = { 1 };
    MARKER("provider_na", "marker_name", "0", "-4@%%eax -4@%%ebx");
    return symbol_name_(&r);
}
"""
NAMES = ("record_type_name", "member_name", "symbol_name_", "argument_na", "provider_na",
         "marker_name")  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("gcc") is None or os.uname().machine != "x86_64":
        pytest.skip("needs gcc for x86-64")
    folder = tmp_path_factory.mktemp("program")
    (folder / "x.c").write_text(PROGRAM)
    marker = Path(__file__).parents[1]
    command = ["gcc", "-g", "-O1", "-fno-inline", f"-I{marker}", "x.c", "-o", "x"]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / "x").read_bytes()


@hostile
def test_a_program_of_hostile_names(
    text: str, program: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its symbols, its types, its arguments and its markers."""
    bad = text.encode(errors="surrogateescape" if text != "\ud83d" else "surrogatepass")
    for name in NAMES:
        assert name.encode() in program
        program = program.replace(name.encode(), (bad * 9)[: len(name)])
    path = tmp_path / "x"
    path.write_bytes(program)
    path.chmod(0o755)
    for command in (
        ["list", "-v", f"uprobe:{path}:*"],
        ["list", "-vv", f"usdt:{path}:*"],
        ["list", f"usdt:{path}:nothing"],
        ["explain", f"uprobe:{path}:main x=y"],
        ["explain", f"uprobe:{path}:*"],
        ["explain", "--stage", "all", f"usdt:{path}:*:* $arg1"],
        ["check", f"uprobe:{path}:m?in", f"usdt:{path}:*:* x=$arg9"],
        ["check", "--json", f"uprobe:{path}:nothing"],
    ):
        _, out, err = ran(*command, capsys=capsys)
        safe(out)
        safe(err)


def test_json_has_no_raw_character() -> None:
    plan = one_plan("p:x vfs_read text=+0(buf):string")
    text = "\x7f\x1b\u202e\udcff"
    event = Decoder([plan.layout]).event(pack_record(plan.layout, text=text))
    line = json_line(event)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["text"] == text
