"""What is printed compiles, calls only what it may, and leaves no hole in an event."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bpfprobe._resources import template_root
from bpfprobe.engine.live import LiveEngine
from bpfprobe.errors import MissingLibraryError
from bpfprobe.model.plan import Memory
from bpfprobe.model.spec import KernelPoint, SyscallPoint
from tests.render.corpus import EVERYTHING, KERNEL, RECORDS, USER
from tests.sample_machine import ARM, FACTS, NO, as_spec, c_text, compiled, machine

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.object import Bytecode
    from bpfprobe.pipeline import Compilation
    from tests.render.conftest import Everything

KCONFIG = (template_root() / "kconfig.h").read_text(encoding="ascii")
HELPERS = {int(n): name for name, n in re.findall(r"\(\*(\w+)\)\(.*\(void \*\)(\d+);", KCONFIG)}
FORBIDDEN = {36, 58, 109, 117}  # probe_write_user, override_return, send_signal (process, thread)
CALL, LD_IMM64 = 0x85, 0x18


def compile_all(made: Compilation) -> tuple[Bytecode, ...]:
    try:
        return LiveEngine().compile(made.source)
    except MissingLibraryError as error:
        pytest.skip(f"needs libbcc: {error}")


def helpers(code: Bytecode) -> set[int]:
    """The numbers of the helpers that a program calls."""
    found, at = set(), 0
    while at < len(code.instructions):
        opcode, registers = code.instructions[at], code.instructions[at + 1]
        if opcode == CALL:
            assert registers >> 4 == 0, "a call of something that is no helper"
            found.add(int.from_bytes(code.instructions[at + 4 : at + 8], "little"))
        at += 16 if opcode == LD_IMM64 else 8
    return found


def test_system_calls_through_tracepoints_compile() -> None:
    target = machine(replace(FACTS, kprobes=NO))
    probes = [p for p in KERNEL if isinstance(as_spec(p).point, SyscallPoint)]
    made = compiled(*probes, target=target, pid=1, not_pid=2, uid=0, tid=3)
    check(made, compile_all(made), probes=len(probes), transport="ring")


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_everything_compiles_and_calls_only_known_helpers(
    transport: str, everything: Everything
) -> None:
    made, programs = everything.through(transport)
    check(made, programs, probes=len(EVERYTHING), transport=transport)


def check(
    made: Compilation, programs: tuple[Bytecode, ...], *, probes: int, transport: str
) -> None:
    assert [code.program for code in programs] == list(made.source.programs)
    assert len(programs) > probes
    called = set().union(*(helpers(code) for code in programs))
    assert called <= HELPERS.keys()
    assert not called & FORBIDDEN
    assert {112, 113, 114} <= called
    assert (130 in called) == (transport == "ring")
    assert (25 in called) == (transport == "perf")
    # the longest takes the strings of an exec; the verifier of the oldest kernels walks a million
    assert max(len(code.instructions) // 8 for code in programs) <= 4200


def test_helpers_have_the_numbers_of_the_kernel() -> None:
    assert len(HELPERS) == KCONFIG.count(" = (void *)")
    assert HELPERS[113] == "probe_read_kernel"
    assert not HELPERS.keys() & FORBIDDEN
    assert 4 not in HELPERS, "bpf_probe_read does not say which memory it means"


def test_a_filter_on_the_process_comes_before_any_read() -> None:
    (code,) = compile_all(compiled("p vfs_read x=+0(buf):string if pid == 7"))
    order = []
    for at in range(0, len(code.instructions), 8):
        if code.instructions[at] == CALL:
            order.append(HELPERS[int.from_bytes(code.instructions[at + 4 : at + 8], "little")])
    assert order[0] == "bpf_get_current_pid_tgid"
    assert "probe_read" not in " ".join(order[: order.index("bpf_ktime_get_ns")])


def c_of(*, arm: bool, transport: str) -> str:
    if not arm:
        return c_text(*EVERYTHING, transport=transport)
    probes = [p for p in KERNEL if _has_no_register(as_spec(p))]
    return c_text(*probes, *RECORDS, "uprobe:bash:main $arg8", target=ARM, transport=transport)


def _has_no_register(spec: object) -> bool:
    text = repr(spec)
    return "Register(" not in text and "eight" not in text and "$arg7" not in text


@pytest.mark.parametrize("transport", ["ring", "perf"])
@pytest.mark.parametrize("arm", [False, True])
def test_memory_of_others_is_never_dereferenced(arm: bool, transport: str) -> None:
    text = c_of(arm=arm, transport=transport)
    # An arrow stands behind what is ours, or inside of &( ... ) for its offset alone.
    for line in text.split("\n"):
        rest = re.sub(r"&\(\(struct \w+ \*\)\(.*\)\)->\w+", "", line)
        rest = re.sub(r"&\(\(struct pt_regs \*\)REGISTER\([^)]*\)+->[\w\[\]]+", "", rest)
        assert ")->" not in rest, line
        for owner in re.findall(r"([\w\]]+)->", rest):
            assert owner in ("event", "counters", "free"), line
        for star in re.findall(r"\*\(\w+ \*\)\(", rest):
            raise AssertionError(f"{star} in {line}")
    assert "probe_read(" not in text


def test_arm_has_its_own_registers() -> None:
    text = c_of(arm=True, transport="ring")
    assert "REGISTER(regs[0])" in text
    assert not re.search(r"REGISTER\((di|si|dx|ax)\)", text)
    assert "__x64_sys" not in text


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_events_have_no_padding_but_what_is_written_down(tmp_path: Path, transport: str) -> None:
    made = compiled(*EVERYTHING, transport=transport)
    text = made.source.text
    structs = re.findall(r"^struct event\d+ \{.*?^\};(?:\n_Static_assert.*?;$)+", text, re.M | re.S)
    assert len(structs) == len(made.plan.probes)
    header = "".join(re.findall(r"^typedef .*\n", made.source.header, re.M))
    source = tmp_path / "events.c"
    source.write_text(header + "\n".join(structs))
    command = ["gcc", "-Wpadded", "-Werror", "-fsyntax-only", str(source)]
    # -Wpadded speaks where a struct is laid out, so -fsyntax-only is enough
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_event_clears_what_it_does_not_fill_on_the_stack() -> None:
    made = compiled("p untyped $arg1:u8", transport="perf")
    assert made.plan.probes[0].placed is Memory.STACK
    assert "on_stack = {};" in made.source.text


def test_the_same_input_makes_the_same_bytes() -> None:
    first = c_text(*EVERYTHING)
    assert first == c_text(*EVERYTHING, target=machine())


def test_no_line_is_left_with_space_at_its_end_and_no_hole_with_its_name() -> None:
    text = c_text(*EVERYTHING)
    assert "$" not in text
    assert not re.search(r"[ \t]$", text, re.M)
    assert "\n\n\n" not in text
    assert text.endswith("}\n")


def test_a_module_of_rust_has_types_whose_names_are_no_c() -> None:
    target = machine(
        functions=["long f(struct odd *x)"],
        structs={"odd": "int a;"},
    )
    probe = compiled("p f x->a", target=target)
    load = probe.bound.probes[0].captures[0].value
    from bpfprobe.render.structs import StructRegister

    register = StructRegister()
    odd = 'core::ops::Range<&"x">; int y'
    tag, name = register.use(odd, "a::b[1]", 4, load.type)  # type: ignore[union-attr]
    assert (tag, name) == ("struct k_core__ops__Range__x__int__y", "a__b__1")
    again = register.use(odd, "a::b[1]", 8, load.type)  # type: ignore[union-attr]
    assert again == (tag, "a__b__1_")
    assert all(re.fullmatch(r"[\w .,:;{}\[\]()*\"=]*", line) for line in register.declarations())


def test_the_corpus_covers_what_there_is() -> None:
    points = {type(as_spec(p).point).__name__ for p in EVERYTHING}
    assert points == {"KernelPoint", "UserPoint", "TracepointPoint", "SyscallPoint"}
    assert any(
        isinstance(as_spec(p).point, KernelPoint) and "argv" in repr(as_spec(p)) for p in EVERYTHING
    )
    plans = compiled(*EVERYTHING).plan.probes + compiled(*USER, transport="perf").plan.probes
    assert {probe.placed for probe in plans} == set(Memory)
