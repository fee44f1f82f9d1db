"""``$retval`` has the type that the function returns, in captures, filters and trace(8)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import needs_uprobes
from tests.native.test_debug_information import run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = needs_uprobes

SOURCE = r"""
#include <stdbool.h>
#include <fcntl.h>
#include <unistd.h>
#define PROBED __attribute__((weak, noinline)) /* which may be another: all calls are made */
typedef short small_t;
typedef const char *name_t;
enum colour { RED, GREEN = -1 };
struct box { int size; unsigned lid : 3; struct box *next; char label[8]; };
static struct box inner = {.size = -7, .lid = 5, .label = "inner"};
static struct box outer = {.size = 40, .lid = 2, .next = &inner, .label = "outer"};
PROBED int r_int(int n) { return n - 12; }
PROBED unsigned r_unsigned(int n) { return n - 12; }
PROBED small_t r_short(int n) { return n - 12; }
PROBED signed char r_schar(int n) { return n - 12; }
PROBED char r_char(int n) { return 'a' + n; }
PROBED bool r_bool(int n) { return n > 12; }
PROBED long r_long(int n) { return n - 12L; }
PROBED enum colour r_enum(int n) { return n < 12 ? GREEN : RED; }
PROBED struct box *r_pointer(int n) { return n < 12 ? &outer : &inner; }
PROBED name_t r_text(int n) { return n < 12 ? "early" : "late"; }
PROBED int *r_numbers(int n) { static int all[2]; all[1] = -n; return all; }
int main(void)
{
    char go = *r_text(0) + *r_text(22); /* brings in the page that they are on */
    while (read(0, &go, 1) == 1) {
        for (int n = 0; n < 23; n++) {
            r_int(n), r_unsigned(n), r_short(n), r_schar(n), r_char(n), r_bool(n), r_long(n);
            r_enum(n), r_pointer(n), r_text(n), r_numbers(n);
            asm volatile("mov $-1, %%rax" ::: "rax"); /* what the upper half of a register may be */
            open("/nowhere/at/all", O_RDONLY);
        }
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""
NUMBERS = range(23)
EXPECTED: dict[str, list[Any]] = {
    "int": [n - 12 for n in NUMBERS],
    "unsigned": [(n - 12) % (1 << 32) for n in NUMBERS],
    "short": [n - 12 for n in NUMBERS],
    "schar": [n - 12 for n in NUMBERS],
    "char": [chr(ord("a") + n) for n in NUMBERS],
    "bool": [n > 12 for n in NUMBERS],
    "long": [n - 12 for n in NUMBERS],
    "enum": [-1 if n < 12 else 0 for n in NUMBERS],
}


@pytest.fixture(scope="module", params=["gcc -O2", "gcc -O0", "clang -O2"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("returns") / "rv"
    path.with_suffix(".c").write_text(SOURCE)
    command = [*request.param.split(), "-g", "-w", "-o", path, path.with_suffix(".c")]
    subprocess.run(command, check=True)
    return path


def values(events: list[Any], name: str = "retval") -> list[Any]:
    return [getattr(event, name) for event in events]


def test_every_kind_of_number(program: Path) -> None:
    found = run(program, *[f"uretprobe:{program}:r_{kind} $retval" for kind in EXPECTED])
    assert dict(zip(EXPECTED, map(values, found), strict=True)) == EXPECTED


def test_filters_and_arithmetic(program: Path) -> None:
    below, equal, is_true, green, sums, kept = run(
        program,
        f"uretprobe:{program}:r_int $retval if $retval < 0",
        f"uretprobe:{program}:r_int $retval if $retval == -1",
        f"uretprobe:{program}:r_bool n if retval",
        f"uretprobe:{program}:r_enum n if $retval == -1",
        f"uretprobe:{program}:r_schar below=$retval-1 if $retval * 2 < -10",
        f"uretprobe:{program}:r_short n v=$retval:s64 x=$retval:x16",
    )
    assert values(below) == [n - 12 for n in range(12)]
    assert values(equal) == [-1]
    assert values(is_true, "n") == list(range(13, 23))
    assert values(green, "n") == list(range(12))
    assert values(sums, "below") == [n - 13 for n in range(7)]
    assert values(kept, "v") == [n - 12 for n in NUMBERS]
    assert values(kept, "x") == [(n - 12) % (1 << 16) for n in NUMBERS]


def test_what_a_returned_pointer_leads_to(program: Path) -> None:
    boxes, texts, found, numbers = run(
        program,
        f"uretprobe:{program}:r_pointer size=$retval->size lid=$retval->lid label=$retval->label "
        "inner=$retval->next->size",
        f"uretprobe:{program}:r_text address=$retval text=$retval:string",
        f'uretprobe:{program}:r_text n if $retval == "early"',
        f"uretprobe:{program}:r_numbers second=$retval[1] first=*$retval",
    )
    assert [(e.size, e.lid, e.label) for e in boxes] == [
        (40, 2, "outer") if n < 12 else (-7, 5, "inner") for n in NUMBERS
    ]
    assert values(boxes, "inner") == [-7 if n < 12 else None for n in NUMBERS]
    assert values(texts, "text") == ["early" if n < 12 else "late" for n in NUMBERS]
    assert all(isinstance(address, int) for address in values(texts, "address"))
    assert values(found, "n") == list(range(12))
    assert [(e.first, e.second) for e in numbers] == [(0, -n) for n in NUMBERS]


def test_as_trace8_has_it(program: Path) -> None:
    below, equal, printed, text = run_trace8(
        program,
        f"r:{program}:r_int (retval < 0)",
        f"r:{program}:r_int (retval == -1)",
        f'r:{program}:r_int "%d", retval',
        f'r:{program}:r_text (STRCMP("late", retval)) "%s", retval',
    )
    assert (len(below), len(equal), len(printed), len(text)) == (12, 1, 23, 11)


def run_trace8(program: Path, *texts: str) -> list[list[Any]]:
    """The events of each, in an order that trace(8) does not name."""
    found: list[list[Any]] = []
    for text in texts:
        probe = bp.probe(text)
        process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process, bp.Session(probe, pid=process.pid) as session:
            process.stdin.write(b"g")
            assert process.stdout.read(1) == b"k"
            found.append(list(session.events(duration=0)))
            process.stdin.close()
    return found


def test_a_function_of_the_c_library(program: Path) -> None:
    """Its types are in Debian's libc6-dbg."""
    (opened,) = run(program, "uretprobe:c:open64 file:string $retval if $retval < 0")
    assert [(event.file, event.retval) for event in opened] == [("/nowhere/at/all", -1)] * 23
