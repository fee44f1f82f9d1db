"""Names of USDT probes and their providers, which may have any characters, as they are typed."""

from __future__ import annotations

from bpfprobe.model.regex import regex

USDT_NAME = r"\"[^\"]+\"|[^\s:\"'*?\[\]()]+"
"""A name as it is typed: between double quotes it may have any other character."""

_USDT_NAME = regex(USDT_NAME)


def typed_usdt_name(name: str) -> str:
    """A name as it can be typed: as it is, or in quotes."""
    return name if _USDT_NAME.fullmatch(name) else f'"{name}"'


def is_called(name: str, typed: str) -> bool:
    """Whether what was typed is a name: in quotes, or with quotes of the name's own."""
    return typed in (name, f'"{name}"')
