"""Each option of trace works in every dialect and style, or is refused by its name."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import Any

import pytest

import bpfprobe as bp
from bpfprobe.cli.main import _parser, _rewritten
from bpfprobe.cli.trace_checks import check_options
from bpfprobe.cli.trace_object import object_path
from bpfprobe.cli.trace_output import output_for
from bpfprobe.cli.trace_probes import describe_specs
from bpfprobe.model.options import OptionError
from bpfprobe.probes import Probe
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import MACHINE

START_NS = 1_000_000_000
DIALECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours": ("kprobe:vfs_read n=count:u64", {"n": 23}),
    "kernel": ("p:vfs_read vfs_read n=%dx:u64", {"n": 23}),
    "trace8": ('vfs_read "n=%d", arg3', {"arg3": 23}),
}
STYLES = {"rows": "", "json": "--json ", "ftrace": "--style ftrace "}

# What the option adds to what is printed, as a pattern, in rows, JSON and ftrace's lines; a text
# that begins with an exclamation mark is what the refusal says, "" that nothing is printed.
TABLE = {
    "": (r"^ *42 .*23$", r'^\{"probe":"vfs_read",', r" +cat-43 .*vfs_read: .*=23$"),
    "-T": (
        r"^\d\d:\d\d:\d\d(\.\d{3})? +42 ",
        r'^\{"probe":"vfs_read","time_of_day":"\d{4}-\d\d-\d\dT[^"]+[+-]\d\d:\d\d",',
        "!-T (--time) has no place",
    ),
    "--timestamp": (
        r"^2\.500000 +42 ",
        r'"since_start":2\.5,',
        "!--timestamp has no place",
    ),
    "--timestamp --unix-timestamp": (
        r"^\d{8,10}\.\d{6} +42 ",
        r'"unix_time":\d{8,10}\.\d+,',
        "!--timestamp has no place",
    ),
    "-C": (r"^1 +42 ", r'"cpu":1,', r" \[001\] "),
    "-C --timestamp": (r"^2\.500000 1 +42 ", r'"since_start":2\.5,.*"cpu":1', "!--timestamp has"),
    "-f n=23": (r"23$", r":23", r"=23$"),
    "-f n=24": ("", "", ""),
    "-K -a": (r"^ +ffff0010 \[unknown\]$", r'"kstack":\[4294901776\]', r" <00000000ffff0010>$"),
    "-A -M 1": (r"^-->COUNT 1$", "!-A (--aggregate) has no place", r"^-->COUNT 1$"),
    "-H": (r"^# tracer: nop$", "!-H (--headers) has no place", r"^# tracer: nop$"),
    "--style table": (r"^ *42 .*23$", "!--style has no place", r"^ *42 .*23$"),
    "--style table -H": ("!-H (--headers)", "!--style has no place", "!-H (--headers)"),
    "--verbose": (r"23$", "!--verbose has no place", r"=23$"),
    "-p 42 -S": ("!-S (--include-self) is for all",) * 3,
    "--command ls -S": ("!-S (--include-self) is for all",) * 3,
    "--format": ("", "!--json has no meaning with --format", "!--style has no meaning"),
    "--ebpf": ("", "!--json has no meaning with --ebpf", "!--style has no meaning"),
    "--format --ebpf": ("!show different things",) * 3,
    "--format -T": ("!-T (--time) has no meaning",) * 3,
    "--ebpf -M 1": ("!-M (--max-events) has no meaning", "!--json has no meaning", "!--style has"),
    "--ebpf -d 5": ("!-d (--duration) has no meaning", "!--json has no meaning", "!--style has"),
}  # fmt: skip
DECIDED_ELSEWHERE = {
    "specs", "file", "pid", "tid", "uid", "name", "cgroup_path", "string_size", "dialect",
    "transport", "buffer_bytes", "buffer_pages", "follow", "max_places", "force", "include",
    "trust_object", "sym_file_list", "user_stack", "help",
}  # fmt: skip
"""Options of the description or of the session: which hits, which values, how they are sent."""
WORK_WITH_AN_OBJECT = {
    "specs", "pid", "tid", "uid", "command", "include_self", "duration", "max_events", "style",
    "headers", "json", "time", "timestamp", "unix_timestamp", "print_cpu", "address", "msg_filter",
    "aggregate", "follow", "max_places", "trust_object", "sym_file_list", "help",
}  # fmt: skip


def parsed(line: str) -> argparse.Namespace:
    words = ["trace", *shlex.split(line)]
    return _parser(words).parse_args(_rewritten(words))


def printed(line: str, spec: str, values: dict[str, Any]) -> str:
    """What trace prints for one event; raises OptionError."""
    args = parsed(f"{line} {shlex.quote(spec)}")
    check_options(args)
    probes = [Probe(description) for description in describe_specs(args, "x86_64")]
    if args.format or args.ebpf:
        return ""
    engine = FakeEngine()
    with bp.Session(*probes, target=MACHINE, engine=engine) as session:
        output = output_for(session, probes, args, START_NS)
        layout = session.event_type(probes[0]).layout
        common = {"pid": 42, "tid": 43, "cpu": 1, "time": START_NS + 2_500_000_000, "comm": "cat"}
        stack = {"kstack": (0xFFFF0010,)} if args.kernel_stack else {}
        engine.push(pack_record(layout, **common | values | stack))
        (event,) = session.events(duration=0)
        rows = output.rows(event)
        if rows is None:
            return ""
        return "\n".join([output.header, rows, *output.ending()])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("option", TABLE)
def test_an_option_works_or_is_refused(option: str, style: str, dialect: str) -> None:
    spec, values = DIALECTS[dialect]
    expected = TABLE[option][list(STYLES).index(style)]
    forced = "--dialect trace8 " if dialect == "trace8" else ""
    line = f"{forced}{'' if '--style' in option and style == 'ftrace' else STYLES[style]}{option}"
    if expected.startswith("!"):
        with pytest.raises(OptionError) as refused:
            printed(line, spec, values)
        assert expected[1:] in refused.value.message
        assert refused.value.hint
        return
    text = printed(line, spec, values)
    assert (text == "") == (expected == "")
    assert re.search(expected, text, re.MULTILINE), text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bytes_in_strcmp_are_for_trace8_alone(dialect: str) -> None:
    args = parsed(f"-B {shlex.quote(DIALECTS[dialect][0])}")
    if dialect == "trace8":
        assert describe_specs(args, "x86_64")[0].binary_strings
    else:
        with pytest.raises(OptionError, match=r"-B \(--bin_cmp\) is for STRCMP"):
            describe_specs(args, "x86_64")


@pytest.mark.parametrize("option", ["-T", "--timestamp", "--timestamp --unix-timestamp"])
def test_no_member_of_a_json_object_comes_twice(option: str) -> None:
    name = {"-T": "time_of_day", "--timestamp": "since_start"}.get(option, "unix_time")
    with pytest.raises(OptionError, match=f"a value {name}, which is the name of the time"):
        printed(f"--json {option}", f"kprobe:vfs_read {name}=count", {name: 23})


def actions() -> dict[str, argparse.Action]:
    parser = _parser(["trace"])
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {action.dest: action for action in commands.choices["trace"]._actions}


def test_every_option_is_decided() -> None:
    used = {
        name
        for line in TABLE
        for name, value in vars(parsed(f"{line} f")).items()
        if value != vars(parsed("f")).get(name)
    }
    assert actions().keys() - used - DECIDED_ELSEWHERE == {"bin_cmp", "json"}


@pytest.mark.parametrize("name", actions())
def test_an_object_takes_an_option_or_refuses_it(name: str) -> None:
    action = actions()[name]
    if name in ("specs", "help"):
        return
    value = [] if action.nargs == 0 else [str((action.choices or ["7"])[-1])]  # type: ignore[index]
    args = parsed(shlex.join([action.option_strings[-1], *value, "x.bpfo"]))
    if name in WORK_WITH_AN_OBJECT:
        assert object_path(args) == "x.bpfo"
    else:
        with pytest.raises(OptionError, match=re.escape(action.option_strings[-1])):
            object_path(args)
