from __future__ import annotations

import pytest

from bpfprobe.check.boot import refuse_addresses
from bpfprobe.errors import SpecError
from tests.sample_machine import bound


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("kprobe:vfs_read j=@jiffies_like", "j=@jiffies_like"),
        ("kprobe:vfs_read n=count j=@jiffies_like+4:u32", "j=@jiffies_like+4:u32"),
        ("kprobe:vfs_read if count > 3 && @jiffies_like == 7",
         "count > 3 && @jiffies_like == 7"),
    ],
)  # fmt: skip
def test_an_address_of_one_boot_is_refused(text: str, marked: str) -> None:
    with pytest.raises(SpecError) as caught:
        refuse_addresses(bound(text))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "OBJECT_ADDRESS"
    assert diagnostic.span is not None
    assert diagnostic.span.text == marked
    assert diagnostic.message.startswith("jiffies_like is at another address after each boot")


@pytest.mark.parametrize("text", ["kprobe:vfs_read file->f_flags", "kprobe:vfs_read if count > 3"])
def test_what_holds_for_more_boots_passes(text: str) -> None:
    refuse_addresses(bound(text))
