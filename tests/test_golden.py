"""A few programs in full, to be read. ``pytest --update-golden`` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sample_machine import c_text

FOLDER = Path(__file__).parent / "golden"
CASES = {
    "entry": ("p:reads vfs_read count flags=file->f_flags if pid == 7 && count > 4096", "ring"),
    "string": ("p:exec open_it name:string", "perf"),
    "return": ("r:opened do_sys_openat2 path=filename:ustring fd=$retval:s32 duration", "ring"),
    "kept": ("r:opened do_sys_openat2 mode=entry(how->mode)", "ring"),
    "range": (
        "p:made open_it flags=((struct open_how *)$arg1)->flags "
        "mode=((struct open_how *)$arg1)->mode",
        "ring",
    ),
    "glob": ('p:tmp open_it if name ~ "*/[a-c]?*"', "ring"),
    "tracepoint": ("tracepoint:sched:sched_process_exec filename id=pid", "ring"),
}


@pytest.mark.parametrize("name", CASES)
def test_program(name: str, pytestconfig: pytest.Config) -> None:
    text, transport = CASES[name]
    c = c_text(text, transport=transport)
    own = c[c.index("}\n\n", c.index("long read_any_str")) + 3 :]
    lines = [line for line in own.split("\n") if not line.startswith("_Static_assert")]
    made = f"// {text}\n// transport: {transport}\n\n" + "\n".join(lines)
    golden = FOLDER / f"{name}.c"
    if pytestconfig.getoption("--update-golden"):
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8"), "pytest --update-golden writes it anew"


def test_every_file_belongs_to_a_case() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == CASES.keys()
