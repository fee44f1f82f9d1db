"""Records that were taken out of a buffer and not handed out come first the next time."""

from __future__ import annotations

from bpfprobe.model.chunk import chunk_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.engine import RecordSource
    from bpfprobe.model.chunk import Chunk


class SetAside:
    """A source with records put back before those of another."""

    def __init__(self, source: RecordSource) -> None:
        self._source = source
        self._aside: list[bytes] = []

    def put_back(self, records: list[bytes]) -> None:
        """Have records come again, before all others."""
        self._aside = records + self._aside

    def filenos(self) -> tuple[int, ...]:
        """The source's."""
        return self._source.filenos()

    def look(self, limit: int, limit_bytes: int) -> Chunk | None:
        """What was put back, and when that is gone what the source has."""
        if self._aside:
            return chunk_of(self._aside[:limit])
        return self._source.look(limit, limit_bytes)

    def free(self, count: int) -> None:
        """Forget what was put back, or make room in the source."""
        if self._aside:
            del self._aside[:count]
        else:
            self._source.free(count)

    def lend(self) -> None:
        """The source's."""
        self._source.lend()

    def progress(self) -> tuple[int, int]:
        """The source's, as if what was put back were still to be freed."""
        freed, written = self._source.progress()
        return freed - sum(map(len, self._aside)), written

    def close(self) -> None:
        """Close the source."""
        self._aside.clear()
        self._source.close()
