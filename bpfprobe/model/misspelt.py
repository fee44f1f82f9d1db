"""Names that are nearly those of an option."""

from __future__ import annotations

from bpfprobe.errors import spec_error
from bpfprobe.model.span import SourceText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LONG = 5
"""Letters of a name from which on a letter may be missing, too much, or another one."""


def near_option(name: str, options: Iterable[str]) -> str:
    """Return the option that ``name`` is likely a slip for, "" for none.

    Of short options (``pid``) only two letters in the wrong order or a doubled one are a slip: too
    many words are a letter away from them.
    """
    word = _plain(name)
    return next((option for option in options if name != option and _is_near(word, option)), "")


def check_capture_keyword(name: str, value: object, options: Iterable[str]) -> None:
    """Raise `SpecError` for a capture that is likely an option of a probe, misspelt.

    One that is named for what it takes (``events="fds->events"``) was meant.
    """
    option = near_option(name, options)
    if not option or (isinstance(value, str) and name in value):
        return
    raise spec_error(
        "UNKNOWN_OPTION",
        f"there is no option {name}, and a capture of that name is likely a slip",
        SourceText(name, "capture").whole(),
        f"did you mean {option}=? A capture is called so with captures={{{name!r}: {value!r}}}",
    )


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _is_near(word: str, option: str) -> bool:
    known = _plain(option)
    if word == known or abs(len(word) - len(known)) > 2:
        return word == known
    if len(known) < _LONG:
        return sorted(word) == sorted(known) or _without_repeats(word) == known
    return _distance(word, known) <= (1 if len(known) < 2 * _LONG else 2)


def _without_repeats(word: str) -> str:
    return "".join(one for one, before in zip(word, "\0" + word, strict=False) if one != before)


def _distance(one: str, other: str) -> int:
    """Return how many letters differ; two that are exchanged count once (Damerau)."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            costs = [rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != wanted)]
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                costs.append(rows[-2][j - 2] + 1)
            row.append(min(costs))
        rows.append(row)
    return rows[-1][-1]
