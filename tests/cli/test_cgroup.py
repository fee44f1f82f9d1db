"""``--cgroup-path``."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.cli.cgroup import cgroup_level, filter_text, in_cgroup
from bpfprobe.errors import BpfprobeError
from tests.sample_machine import STRUCTS, c_text, machine

MOUNTS = [
    "23 28 0:21 / /sys rw,nosuid - sysfs sysfs rw",
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
    "44 30 0:26 /machine/one /run/inner rw - cgroup2 cgroup2 rw",
    "45 30 0:27 / /old rw - cgroup cgroup rw,cpu",
]
TASK = STRUCTS["task_struct"] + " struct css_set *cgroups;"
NODE = {"css_set": "struct cgroup *dfl_cgrp;", "kernfs_node": "u64 id;", "task_struct": TASK}
NEW = machine(structs=STRUCTS | NODE | {
    "cgroup": "int level; struct kernfs_node *kn; struct cgroup *ancestors[8];",
})  # fmt: skip
OLD = machine(structs=STRUCTS | NODE | {"cgroup": "int level; u64 ancestor_ids[8];"})


@pytest.mark.parametrize(
    ("folder", "level"),
    [
        ("/sys/fs/cgroup", 0),
        ("/sys/fs/cgroup/system.slice", 1),
        ("/sys/fs/cgroup/system.slice/a.service", 2),
        ("/sys/fs/cgroups", None),
        ("/run/inner/x", 3),
        ("/old/x", None),
        ("/tmp", None),
    ],
)
def test_how_deep_a_cgroup_is(folder: str, level: int | None) -> None:
    assert cgroup_level(folder, MOUNTS) == level


def test_the_filter_is_one_of_ours() -> None:
    new, old = filter_text(2, 77, NEW), filter_text(2, 77, OLD)
    assert new == (
        "$current->cgroups->dfl_cgrp->level >= 2 && "
        "$current->cgroups->dfl_cgrp->ancestors[2]->kn->id == 77"
    )
    assert "ancestor_ids[2] == 77" in old
    assert "ancestors" in c_text(bp.kprobe("vfs_read", filter=new), target=NEW)
    assert "ancestor_ids" in c_text(bp.kprobe("vfs_read", filter=old), target=OLD)


def test_what_is_no_cgroup_and_what_has_no_types() -> None:
    with pytest.raises(BpfprobeError, match="NO_CGROUP") as caught:
        in_cgroup("/proc")
    assert "--command" in str(caught.value)
    with pytest.raises(BpfprobeError, match="NO_BTF"):
        filter_text(1, 2, machine())
