"""Events as JSON, an object a line, from which every byte can be had back."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from bpfprobe.deliver.event_types import decode_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.model.event import Event


def json_line(event: Event, more: Mapping[str, Any] | None = None) -> str:
    r"""One line of ASCII JSON with ``probe`` and every field; ``faults`` and ``truncated`` if any.

    Bytes are text as well. A byte 0xHH that is no UTF-8 is the lone surrogate ``\udcHH``: in Python
    ``value.encode("utf-8", "surrogateescape")`` gives the bytes back. Floats that JSON has no form
    for are text, which ``float()`` reads: ``"nan"``, ``"inf"``, ``"-inf"``.
    """
    fields: dict[str, Any] = {"probe": event.probe, **(more or {}), **event.asdict()}
    if event.faults:
        fields["faults"] = sorted(event.faults)
    if event.truncated:
        fields["truncated"] = sorted(event.truncated)
    try:
        return _dumped(fields)
    except ValueError:
        return _dumped({name: _spelt(value) for name, value in fields.items()})


def _dumped(fields: dict[str, Any]) -> str:
    text = json.dumps(
        fields, ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=decode_text
    )
    return text.replace("\x7f", "\\u007f")  # DEL, which json takes for printable ASCII


def _spelt(value: Any) -> Any:
    """A float that is not a number as text."""
    if isinstance(value, tuple):
        return [_spelt(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
