"""``bpfprobe trace -v``."""

from __future__ import annotations

from bpfprobe.cli.event_format import event_format
from tests.sample_machine import one_plan

SPEC = (
    "p:all vfs_read n=%di:s32 s=+0(%si):string k=$kstack b=+0(%si):x8[4] c=$comm v=+0(%si):char "
    't=+0(%si):string[3] q=\\"constant"'
)


def test_every_kind_of_field_has_a_line() -> None:
    layout = one_plan(SPEC).layout
    lines = event_format(layout).splitlines()
    assert lines[:2] == ["name: all", "format:"]
    names = {line.partition(";")[0].split()[-1].partition("[")[0] for line in lines[2:]}
    assert names == {f.name for f in layout.fields} - {"q"}
    at = layout.field("n").offset
    assert f"\tfield:s32 n;\toffset:{at};\tsize:4;\tsigned:1;" in lines
    text = "\n".join(lines)
    for piece in ("__data_loc char[] s;", "__data_loc u64[] k;", "u8 b[4];", "char c[16];"):
        assert piece in text
