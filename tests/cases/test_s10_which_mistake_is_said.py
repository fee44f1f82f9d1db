"""Of several mistakes in a definition the one is said that the kernel says."""

from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.machine import Symbol
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.pipeline import describe
from bpfprobe.testing.static_target import StaticTarget

TARGET = StaticTarget(
    functions=["int vfs_read(int a)"],
    symbols=[Symbol("t_show", 0xFFFFFFFF81000100, "t"), Symbol("t_show", 0xFFFFFFFF81000200, "t")],
    untraceable=["t_show"],
    tracepoints={"sched:sched_switch": ["char next_comm[16]", "pid_t prev_pid"]},
    binaries={"/bin/sh": ["main"]},
)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("e sched/sched_switch arg=COMM", "NO_EVENT_FIELD", "COMM"),
        ("e sched/sched_switch CPU", "NO_EVENT_FIELD", "CPU"),
        ("e sched/sched_switch a=common_pid", "NO_EVENT_FIELD", "common_pid"),
        ("e sched/sched_switch STACKTRACE", "NO_EVENT_FIELD", "STACKTRACE"),
        ("p /bin/sh:10 @symbol", "SYM_ON_UPROBE", "@symbol"),
        ("p /bin/sh:10 $none_var", "BAD_VAR", "$none_var"),
        ("p /bin/sh:10 %none_reg", "BAD_REG_NAME", "%none_reg"),
        ("r /bin/sh:10 a=%di:string", "BAD_STRING", "string"),
        ("p /bin/sh:10 %di", "BAD_UPROBE_OFFS", "/bin/sh:10"),
        ("p t_show", "NON_UNIQ_SYMBOL", "t_show"),
        ("r t_show", "NON_UNIQ_SYMBOL", "t_show"),
    ],
)
def test_the_kernels_mistake(text: str, code: str, place: str) -> None:
    with pytest.raises(SpecError) as caught:
        describe([parse_description(SourceText(text))], TARGET)
    (only,) = caught.value.diagnostics
    assert (only.code, only.span and only.span.text) == (code, place)


def test_filters_have_the_fields_of_every_event() -> None:
    text = "e sched/sched_switch prev_pid if COMM == 'sh' && CPU == 1"
    assert describe([parse_description(SourceText(text))], TARGET).plan.probes
