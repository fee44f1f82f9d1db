"""Arguments, structs and lines by the names of the source, in programs that the test starts."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import compiler, needs_uprobes

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = [
    *needs_uprobes,
    pytest.mark.skipif(shutil.which("objcopy") is None, reason="needs binutils"),
]

SOURCE = r"""
#include <stddef.h>
#include <unistd.h>
#define PROBED __attribute__((weak, noinline)) /* which may be another: nothing is known of it */
struct url { const char *host; unsigned port : 20, tls : 1; };
struct request {
    long id;
    struct url *url, next;
    int codes[3];
    union { int a; short b; };
};
struct big { long a, b, c; };
__attribute__((used, noinline)) static long handle(struct request *req, const char *path,
                                                   size_t count, double weight, int last)
{
    long sum = req->id;
    asm volatile("" ::"r"(path), "x"(weight), "m"(*req));
    sum += count;
    return sum + last;
}
PROBED int eight(int a, int b, int c, int d, int e, int f, long seventh, short eighth)
{
    asm volatile("");
    return eighth;
}
PROBED struct big hidden(int first) { asm volatile(""); return (struct big){first, 0, 0}; }
PROBED long by_value(struct url u, int after) { asm volatile(""); return after; }
int main(void)
{
    char go;
    struct url url = {"example.org", 8443, 1};
    while (read(0, &go, 1) == 1) {
        for (int i = 0; i < 23; i++) {
            struct request req = {i, &url, {"next", 80 + i, 0}, {i, 2 * i, 3 * i}, {70000 + i}};
            handle(&req, "/index", 100 + i, 0.5, -i);
            eight(1, 2, 3, 4, 5, 6, 1000L + i, -i);
            hidden(i);
            by_value(url, i);
        }
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""
LINE = SOURCE.splitlines().index("    sum += count;") + 1
FLAVOURS = {
    "pie": ["gcc", "-O1", "-pie"],
    "non-pie": ["gcc", "-O1", "-no-pie"],
    "static": ["gcc", "-O1", "-static"],
    "dwarf 4, optimised": ["gcc", "-O2", "-gdwarf-4"],
    "not optimised, compressed": ["gcc", "-O0", "-gz"],
    "stripped": ["gcc", "-O1", "-Wl,--build-id"],
    "clang": ["clang", "-O2", "-fPIE", "-pie"],
    "clang, dwarf 4": ["clang", "-O0", "-gdwarf-4", "-fno-pie", "-no-pie"],
}


@pytest.fixture(scope="module", params=FLAVOURS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("debug")
    source, path = folder / "shop.c", folder / "shop"
    source.write_text(SOURCE)
    command = compiler(*FLAVOURS[request.param])
    subprocess.run([*command, "-g", "-o", path, source], check=True)
    if request.param == "stripped":
        debug = folder / "shop.debug"
        subprocess.run(["objcopy", "--only-keep-debug", path, debug], check=True)
        subprocess.run(["strip", path], check=True)
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", path], check=True)
    return path


def run(program: Path, *texts: str) -> list[list[Any]]:
    """The events of each description, of one round of the program."""
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    assert process.stdout is not None
    probes = [bp.probe(f"p{n}={text}") for n, text in enumerate(texts)]
    try:
        with bp.Session(*probes, pid=process.pid) as session:
            process.stdin.write(b"g")
            assert process.stdout.read(1) == b"k"
            events = sorted(session.events(duration=0), key=lambda event: event.time)
            assert session.statistics().complete
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
    return [[event for event in events if event.probe == probe.name] for probe in probes]


def test_every_value(program: Path) -> None:
    entered, returned, stacked, hidden, behind = run(
        program,
        f"uprobe:{program}:handle id=req->id host=req->url->host port=req->url->port "
        "tls=req->url->tls next=req->next.port third=req->codes[2] b=req->b path size=count last",
        f"uretprobe:{program}:handle size=count last id=entry(req->id) result=$retval",
        f"uprobe:{program}:eight a f seventh eighth seven=$arg7 short=$arg8:s16",
        f"uprobe:{program}:hidden first",
        f"uprobe:{program}:by_value after",
    )
    numbers = range(23)
    assert [
        (e.id, e.host, e.port, e.tls, e.next, e.third, e.b, e.path, e.size, e.last) for e in entered
    ] == [
        (i, "example.org", 8443, 1, 80 + i, 3 * i, 70000 + i - 65536, "/index", 100 + i, -i)
        for i in numbers
    ]
    assert [(e.size, e.last, e.id, e.result) for e in returned] == [
        (100 + i, -i, i, 100 + i) for i in numbers
    ]
    assert [(e.a, e.f, e.seventh, e.eighth, e.seven, e.short) for e in stacked] == [
        (1, 6, 1000 + i, -i, 1000 + i, -i) for i in numbers
    ]
    assert [e.first for e in hidden] == [*numbers]
    assert [e.after for e in behind] == [*numbers]


def test_a_line_is_hit_wherever_it_stands(program: Path) -> None:
    by_name, by_path = run(
        program, f"uprobe:{program}:shop.c:{LINE} pid", f"uprobe:{program}:{program}.c:{LINE} comm"
    )
    assert len(by_name) in (23, 46)  # optimised code may begin the line twice
    assert len(by_path) == len(by_name)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("handle weight", "FLOAT_ARGUMENT", "weight is a double"),
        ("handle nothing", "NO_BTFARG", "handle has no argument nothing"),
        ("handle req->hots", "NO_BTF_FIELD", "struct request has no member hots"),
        ("by_value u", "BAD_TYPE", "u is a struct (struct url)"),
        ("shop.c:1 pid", "NO_CODE_AT_LINE", "line 1 of shop.c has no code"),
        ("other.c:1 pid", "NO_SOURCE_FILE", "no code of"),
        ("shop.c:12%return pid", "BAD_RETPROBE", "not to a line"),
        (f"shop.c:{LINE} count", "NOSUP_BTFARG", "not known by name here"),
    ],
)
def test_what_no_program_can_take(program: Path, text: str, code: str, said: str) -> None:
    with pytest.raises(bp.SpecError) as caught:
        bp.Session(bp.probe(f"uprobe:{program}:{text}")).__enter__()
    assert caught.value.code == code
    assert said in str(caught.value)
