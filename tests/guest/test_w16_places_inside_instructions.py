"""A kprobe inside of an instruction is refused with the kernel's code, at the place it means."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description

sys.path.insert(0, str(Path(__file__).with_name("differential")))

FUNCTIONS = ("vfs_read", "kfree", "ksys_read")


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"])
def test_the_code_and_the_caret_are_the_kernels() -> None:
    import kernel_side

    kernel_side.mount()
    for function, event in zip(FUNCTIONS, ("", ":x", ":grp/x"), strict=True):
        definitions = (f"p{event} {function}+{offset:#x}" for offset in range(1, 0x20))
        text, kernel = next(
            (text, verdict)
            for text in definitions
            if not (verdict := kernel_side.verdict(text)).accepts
        )
        assert kernel.code in ("BAD_INSN_BNDRY", "FAIL_REG_PROBE")
        with pytest.raises(bp.AttachError) as caught:
            bp.Session(parse_description(SourceText(text))).open()
        span = caught.value.span
        assert span is not None
        assert (caught.value.code, span.start) == (kernel.code, kernel.column), text
        assert "^~~" in str(caught.value)
