"""What arch/arm64/kernel/probes/decode-insn.c refuses for uprobes, on every kernel that has it.

Linux commit acc450aa0709 ("arm64: probes: Remove broken LDR (literal) uprobe support") (in v6.12,
and backported) is counted in. Hints are left out: which are probed depends on the kernel.
"""

from __future__ import annotations

_REFUSED = (  # mask and value, as in arch/arm64/include/asm/insn.h
    (0x3F800000, 0x08000000, "it is an exclusive load or store, which fails when it is stepped"),
    (0xBF000000, 0x18000000, "it loads from a place relative to itself"),
    (0xFF000000, 0x98000000, "it loads from a place relative to itself"),
    (0xFF000000, 0xD8000000, "it prefetches from a place relative to itself"),
    (0xFF000000, 0xD4000000, "it makes an exception"),  # svc, hvc, smc, brk, hlt
    (0xFFF8F01F, 0xD500401F, "it writes a system register"),
    (0xFFF00000, 0xD5100000, "it writes a system register"),
    (0xFFFFFFFF, 0xD69F03E0, "it returns from an exception"),
)


def arm64_refusal(code: bytes) -> str:
    """Return why the kernel does not probe an instruction, empty where nothing is known."""
    word = int.from_bytes(code[:4], "little") if len(code) >= 4 else 0
    return next((reason for mask, value, reason in _REFUSED if word & mask == value), "")
