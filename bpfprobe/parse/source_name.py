"""Where a name of C++ or Rust ends in a description: it may have white space of its own.

Inside of brackets, ``<...>`` and ``{...}`` among them, white space is free; outside it belongs to
``operator int()``, and to what may follow the parameters: ``const``, ``&``, ``[clone .cold]``.
"""

from __future__ import annotations

import re

from bpfprobe.model.regex import regex

_OF_PROGRAM = regex(r"(?:[^\s=:]*=)?u(?:ret)?probe:")
_PATH = regex(r"(?:\"[^\"]+\"|[^\s\":]+):")
_OPERATOR = regex(
    r"""(?<![\w$])operator(?:
        \s?(?:\(\)|\[\]|->\*?|<=>|<<=?|>>=?|&&|\|\||\+\+|--|[-+*/%^&|!=<>]=?|[,~])
        (?:[ ](?=<))?
      | [ ](?:new|delete)(?:\[\])?(?=\(|\s|$)
      | [ ][^()=$%+"']+(?=\(\))      # a conversion: the type, which no parameters follow
    )""",
    re.VERBOSE,
)
_TRAILER = regex(r"(?:[ ](?:const|volatile|&&?)(?=\s|$)|[ ]\[clone[ ][^\]\s]+\])+")
_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}


def source_name_end(text: str, start: int, *, has_kind: bool) -> int:
    """The end of a place in a program that begins at ``start``, with ``KIND:`` or with its path.

    ``start`` where it is not such a place, and other rules say where the word ends.
    """
    kind = _OF_PROGRAM.match(text, start)
    path = _PATH.match(text, kind.end() if kind else start)
    if path is None or has_kind is not (kind is not None):
        return start
    at = path.end()
    while at < len(text) and not text[at].isspace():
        if operator := _OPERATOR.match(text, at):
            at = operator.end()
            continue
        closed = _closed(text, at) if text[at] in _CLOSING else 0
        at = closed or at + 1
        if closed and text[closed - 1] == ")" and (trailer := _TRAILER.match(text, at)):
            at = trailer.end()
    return at


def _closed(text: str, start: int) -> int:
    """The place after the bracket that closes the one at ``start``, 0 where there is none."""
    expected = [_CLOSING[text[start]]]
    at = start + 1
    while at < len(text) and expected:
        operator = _OPERATOR.match(text, at)
        if operator:
            at = operator.end()
            continue
        char = text[at]
        if char in _CLOSING and (char != "<" or expected[-1] in ">})"):
            expected.append(_CLOSING[char])
        elif char == expected[-1] and not (char == ">" and text[at - 1] == "-"):
            expected.pop()
        elif char in ")]}":
            return 0
        at += 1
    return 0 if expected else at
