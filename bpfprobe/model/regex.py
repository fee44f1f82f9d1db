"""Regular expressions that are compiled when they are first asked.

A start that works all out imports sixty, which took it eight milliseconds, and needs the fewest.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import compile as regex
    from typing import Any
else:

    class regex:  # to type checkers it is the function re.compile
        """What `re.compile` gives, with all its attributes."""

        def __init__(self, text: str | bytes, flags: int = 0) -> None:
            self._given = text, flags

        def __getattr__(self, name: str) -> Any:
            import re

            value = getattr(re.compile(*self._given), name)
            setattr(self, name, value)
            return value


__all__ = ["regex"]
