"""A probe in the words of ftrace, or what of it ftrace has no words for."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class FtraceEvent:
    """A definition for ``dynamic_events`` and the text for the event's ``filter`` file.

    ``filter`` is empty where everything is kept. ``needs`` says what not every kernel has, each
    with the Linux that brought it, ``differs`` what the event does otherwise than the probe.
    """

    line: str
    group: str
    name: str
    filter: str = ""
    needs: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoForm:
    """A part of a description (a capture's name, ``filter``, ``place``) that ftrace cannot say."""

    part: str
    why: str
