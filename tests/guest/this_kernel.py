"""The kernel that a guest test runs on, as numbers; ``newest`` of the matrix has none."""

from __future__ import annotations

import os

RELEASE = tuple(int(number) for number in os.uname().release.split(".")[:2])
