from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.user_addresses import may_have_user_addresses


@pytest.mark.parametrize(
    ("definition", "may"),
    [
        ("kprobe:vfs_read count", False),
        ("kprobe:vfs_read at=ustack", True),
        ("uprobe:c:malloc $arg1 kstack", False),
        ('c:malloc "%U", arg1', True),
        ('c:malloc "%-20.8U", arg1', True),
        ('c:malloc "%d UNITS", arg1', False),
    ],
)
def test_what_a_description_may_have(definition: str, may: bool) -> None:
    probe = bp.probe(definition)
    assert may_have_user_addresses(probe) is may
    assert may_have_user_addresses(probe.spec) or not may
