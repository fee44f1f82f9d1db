"""What cannot be probed, and why: what ``bpfprobe list`` leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfprobe.target import Target


def why_no_kprobes(target: Target) -> str:
    """Return why no kernel function can be probed here; empty where they can, or it is unknown."""
    answer = target.facts().kprobes
    return f"no kprobes here: {answer.evidence}" if answer.present is False else ""


def why_no_kprobe(name: str, module: str, target: Target) -> str:
    """Return why a kernel function cannot be probed by its name; empty where it can."""
    if target.is_blacklisted(name):
        return "blacklisted: the kernel forbids kprobes here"
    if target.is_traceable(name) is False:
        return "not traceable: ftrace cannot reach it (notrace, or too small)"
    symbols = [s for s in target.symbols(name) if s.is_text and module in ("", s.module)]
    if len(symbols) > 1:
        return f"not the only one: {len(symbols)} functions have this name"
    return ""


def sifted(
    names: Iterable[str],
    why_not: Callable[[str], str],
    report_left_out: Callable[[int], object] | None,
) -> list[tuple[str, str]]:
    """Return names with the reason why each cannot be probed, which is empty where it can.

    With ``report_left_out``, which gets their count, those that cannot are left out. Raises
    `TargetError` (NOT_HERE) if that leaves none.
    """
    judged = [(name, why_not(name)) for name in names]
    if report_left_out is None:
        return judged
    kept = [judgement for judgement in judged if not judgement[1]]
    if judged and not kept:
        name, reason = judged[0]
        more = f", and so with {len(judged) - 1} more" if len(judged) > 1 else ""
        raise TargetError(
            f"{name} cannot be probed: {reason}{more}",
            code="NOT_HERE",
            hint="bpfprobe list -a shows all that fit, each with the reason",
        )
    if len(kept) < len(judged):
        report_left_out(len(judged) - len(kept))
    return kept
