"""Records out of a source, as copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.chunk import copies

if TYPE_CHECKING:
    from bpfprobe.engine import RecordSource


def take(source: RecordSource, limit: int) -> list[bytes]:
    """At most ``limit`` records that are there now, freed."""
    records: list[bytes] = []
    while len(records) < limit:
        chunk = source.look(limit - len(records), 1 << 30)
        if chunk is None:
            break
        assert 0 < chunk.count <= limit - len(records)
        records += copies(chunk)
        source.free(chunk.count)
    return records


class Copied(bytearray):
    """Memory whose slices are bytes, as those of what is mapped are."""

    def __getitem__(self, place: slice) -> bytes:  # type: ignore[override]
        return bytes(memoryview(self)[place])
