"""References of C++ are followed; a member that several bases have is refused."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import compiler, needs_uprobes
from tests.native.test_debug_information import run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = needs_uprobes

SOURCE = r"""
#include <string>
#include <unistd.h>
#define P __attribute__((noinline, used))
typedef char *text_t;
typedef const text_t kept_t;
typedef char letter_t;
typedef unsigned char byte_t;
typedef int &link_t;
struct rec { text_t name; kept_t other; letter_t label[8]; byte_t raw[2]; int n; int &ref; };
struct left { int hidden, both; };
struct right { int y, both; };
struct derived : left, right { int hidden; };
extern "C" {
P int refs(int (&array)[10], rec &r, int &n, const char *&s, double &d, link_t l, rec &&moved)
{
    asm volatile("" ::"r"(&array), "r"(&r), "r"(&n), "r"(&s), "r"(&d), "r"(&l), "r"(&moved));
    n++;
    return array[9];
}
P int texts(text_t a, kept_t b, const rec *p, std::string *s, letter_t *l, byte_t *raw)
{
    asm volatile("" ::"r"(a), "r"(b), "r"(p), "r"(s), "r"(l), "r"(raw));
    return 0;
}
P int bases(derived *d, derived &e) { asm volatile("" ::"r"(d), "r"(&e)); return 0; }
P int &back(rec &r) { asm volatile("" ::"r"(&r)); return r.n; }
}
int main(int argc, char **argv)
{
    char go;
    int array[10] = {}, n = 0;
    const char *s = "hello";
    double d = 0.25;
    static rec r = {(char *)"nm", (char *)"ot", "lab", {7, 8}, 5, array[1]};
    std::string st = "a std::string";
    static derived dd;
    while (read(0, &go, 1) == 1) {
        for (int i = 0; i < 23; i++) {
            array[9] = dd.hidden = dd.y = -i, array[1] = r.n = i, n = -100 - i, d = i + 0.25;
            dd.left::hidden = 1;
            refs(array, r, n, s, d, array[9], static_cast<rec &&>(r));
            texts(r.name, r.other, &r, &st, r.label, r.raw);
            bases(&dd, dd);
            back(r);
        }
        if (write(1, "k", 1) != 1)
            return 1;
    }
}
"""
BUILDS = ("g++ -O0", "g++ -O2", "clang++ -O2")
NUMBERS = range(23)


@pytest.fixture(scope="module", params=BUILDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("references") / "program"
    path.with_suffix(".cc").write_text(SOURCE)
    command = compiler(*request.param.split())
    subprocess.run([*command, "-g", "-w", "-o", path, path.with_suffix(".cc")], check=True)
    return path


def test_what_references_lead_to(program: Path) -> None:
    named, numbered, kept, back, bases, filtered = run(
        program,
        f"uprobe:{program}:refs a=array[9] rn=r.n ref=r.ref name=r.name n s d l m=moved.n array",
        f"uprobe:{program}:refs a=$arg1[9] rn=$arg2.n n=$arg3 s=$arg4 d=$arg5 l=$arg6 m=$arg7.n",
        f"uretprobe:{program}:refs n was=entry(n) d=entry(d)",
        f"uretprobe:{program}:back $retval r.n",
        f"uprobe:{program}:bases own=d->hidden y=d->y same=e.hidden",
        f"uprobe:{program}:refs n if n < -110 && array[9] == -12 && r.ref == 12",
    )
    assert [(e.a, e.rn, e.ref, e.name, e.n, e.s, e.d, e.l, e.m) for e in named] == [
        (-i, i, i, "nm", -100 - i, "hello", i + 0.25, -i, i) for i in NUMBERS
    ]
    assert [e.array for e in named] == [(0, i, 0, 0, 0, 0, 0, 0, 0, -i) for i in NUMBERS]
    assert [(e.a, e.rn, e.n, e.s, e.d, e.l, e.m) for e in numbered] == [
        (-i, i, -100 - i, "hello", i + 0.25, -i, i) for i in NUMBERS
    ]
    assert [(e.n, e.was, e.d) for e in kept] == [(-99 - i, -100 - i, i + 0.25) for i in NUMBERS]
    assert [(e.retval, e.n) for e in back] == [(i, i) for i in NUMBERS]
    assert [(e.own, e.y, e.same) for e in bases] == [(-i, -i, -i) for i in NUMBERS]
    assert [e.n for e in filtered] == [-112]


def test_typedefs_of_text_are_text(program: Path) -> None:
    (events,) = run(
        program,
        f"uprobe:{program}:texts a b l second=raw[1] name=p->name other=p->other label=p->label "
        "bytes=p->raw s=s->_M_dataplus._M_p",
    )
    assert [
        (e.a, e.b, e.l, e.second, e.name, e.other, e.label, e.bytes, e.s) for e in events
    ] == 23 * [("nm", "ot", "lab", 8, "nm", "ot", "lab", (7, 8), "a std::string")]


def test_arrays_of_pointers_by_index(program: Path) -> None:
    first, other = f"uprobe:{program}:main argv[0]", f"uprobe:{program}:main $arg2[0] n=argc"
    with subprocess.Popen(["sleep", "0"]) as process:
        process.wait()
    for text, name in ((first, "arg1"), (other, "arg1")):
        with bp.Session(bp.probe(text)) as session:
            with subprocess.Popen([program, "one"], stdin=subprocess.DEVNULL) as process:
                process.wait()
            (event,) = session.events(duration=0)
        assert getattr(event, name) == str(program)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("refs array[10]", "BAD_ARRAY_NUM", "array has 10 elements"),
        ("refs $arg1[20]", "BAD_ARRAY_NUM", "$arg1 has 10 elements"),
        ("refs r", "BAD_TYPE", "name one of its members"),
        ("refs r->n", "NO_PTR_STRCT", "write r.n"),
        ("refs n.x", "NOSUP_DAT_ARG", "has no members"),
        ("bases d->both", "AMBIGUOUS_MEMBER", "4 and 12 bytes"),
        ("bases e.both", "AMBIGUOUS_MEMBER", "of different bases"),
    ],
)
def test_what_is_refused_says_why(program: Path, text: str, code: str, said: str) -> None:
    with pytest.raises(bp.SpecError) as caught:
        bp.Session(bp.probe(f"uprobe:{program}:{text}")).c_source()
    assert caught.value.code == code
    assert said in str(caught.value)
