"""Whether a probe's events may have addresses of programs, which want names while those run."""

from __future__ import annotations

from bpfprobe.probes import Probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.model.spec import ProbeSpec


def may_have_user_addresses(probe: Probe | ProbeSpec) -> bool:
    """By the words of the description, as one that was compiled before is not parsed again."""
    words = repr(probe.description if isinstance(probe, Probe) else probe)
    return "ustack" in words or ("%" in words and "U" in words and _has_user_symbol(words))


def _has_user_symbol(words: str) -> bool:
    import re  # few messages print addresses

    return re.search(r"%[-+ #0-9.]*U", words) is not None
