"""Values of functions made at random are the program's, or are refused; none is wrong."""

from __future__ import annotations

import logging
import os
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.pipeline import describe
from bpfprobe.target.live import LiveTarget
from tests.native import random_sources as sources
from tests.native.programs import compiler, needs_uprobes
from tests.native.random_functions import functions, on_entry, on_return
from tests.native.test_debug_information import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.native.random_functions import Asked

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = needs_uprobes

_LOG = logging.getLogger(__name__)
ALL = "BPFPROBE_ALL_FUNCTIONS" in os.environ
SEED = 7
COUNT, AT_ONCE = (500, 50) if ALL else (17, 17)
LANGUAGES = {
    "c": (sources.C, sources.write_c, "c"),
    "cxx": (sources.CXX, sources.write_cxx, "cc"),
    "fortran": (sources.FORTRAN, sources.write_fortran, "f90"),
}
BUILDS = {
    "c": ("gcc -O2", "gcc -O0", "clang -O0", "clang -O2"),
    "cxx": ("clang++ -O2", "g++ -O0", "g++ -O2", "clang++ -O0"),
    "fortran": ("gfortran -O0", "gfortran -O2"),
}
_MOST, _MOST_TEXTS = 24, 6  # captures of a probe: an event has at most 30,000 bytes


def build(language: str, command: str, folder: Path) -> Path:
    """Compile the functions of a language and return the program."""
    choices, write, suffix = LANGUAGES[language]
    made, caller = write(functions(SEED, COUNT, choices))
    (folder / f"made.{suffix}").write_text(made)
    (folder / f"caller.{suffix}").write_text(caller)
    (folder / "driver.c").write_text(sources.DRIVER)
    for options in (
        [*compiler("gcc"), "-O1", "-c", "driver.c"],
        [*compiler(*command.split()), "-g", "-w", "-o", "program", f"made.{suffix}",
         f"caller.{suffix}", "driver.o"],
    ):  # fmt: skip
        subprocess.run(options, check=True, cwd=folder)
    return folder / "program"


def test_every_value_is_right_or_refused(language: str, command: str, tmp_path: Path) -> None:
    program, target = build(language, command, tmp_path), LiveTarget()
    made = functions(SEED, COUNT, LANGUAGES[language][0])
    prefix = "__made_MOD_" if language == "fortran" else ""
    texts, wanted, refused = [], [], Counter[str]()
    for function in made:
        sides = [
            ("uprobe", on_entry(function, pointers=language == "c")),
            ("uretprobe", on_return(function)),
        ]
        for kind, asked in sides:
            place = f"{kind}:{program}:{prefix}{function.name}"
            there = []
            for one in asked:
                reason = refusal(place, one, target)
                if reason:
                    refused[reason] += 1
                else:
                    there.append(one)
            has_texts = sum(isinstance(one.value, str) for one in there) > _MOST_TEXTS
            most = _MOST_TEXTS if has_texts else _MOST
            for first in range(0, len(there), most):
                part = there[first : first + most]
                names = " ".join(f"v{n}={one.text}" for n, one in enumerate(part))
                texts.append(f"{place} {names}")
                wanted.append([one.value for one in part])
    right, wrong = 0, []
    for first in range(0, len(texts), 2 * AT_ONCE):
        some = texts[first : first + 2 * AT_ONCE]
        for text, events, values in zip(some, run(program, *some), wanted[first:], strict=False):
            assert len(events) == 1, text
            seen = [getattr(events[0], f"v{n}") for n in range(len(values))]
            right += sum(a == b for a, b in zip(seen, values, strict=True))
            wrong += [
                f"{text.split()[0]} {name.partition('=')[2]}: {a}, not {b}"
                for name, a, b in zip(text.split()[1:], seen, values, strict=True)
                if a != b
            ]
    _LOG.info("%s, %s: %d right, refused %s", language, command, right, dict(refused))
    assert not wrong, "\n".join(wrong)
    assert right > 3 * COUNT


def refusal(place: str, asked: Asked, target: LiveTarget) -> str:
    """Return why it cannot be captured, "" where it can; only floats may be refused as such."""
    try:
        describe([bp.probe(f"{place} v={asked.text}")], target)
    except bp.SpecError as error:
        if error.code == "FLOAT_ARGUMENT":
            assert isinstance(asked.value, float), (place, asked)
        return error.code
    return ""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every build where all are asked for, else the first of a language."""
    if "language" in metafunc.fixturenames:
        pairs = [
            (language, command)
            for language, commands in BUILDS.items()
            for command in (commands if ALL else commands[:1])
        ]
        metafunc.parametrize(("language", "command"), pairs)
