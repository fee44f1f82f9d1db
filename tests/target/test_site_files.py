"""Files that are replaced while a session is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.testing import FakeEngine
from tests.sample_machine import machine

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.object import Bytecode, CSource


class Slow(FakeEngine):
    """Somebody does something to a file while it compiles."""

    path: Path
    what: str = ""

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        if self.what == "replaced":
            other = self.path.with_name("other")
            other.write_bytes(self.path.read_bytes())
            other.rename(self.path)
        if self.what == "written to":
            self.path.write_bytes(b"more than there was")
        return super().compile(source)


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("what", ["", "replaced", "written to"])
@pytest.mark.parametrize("name", ["plug", "plug*"])
def test_places_are_of_the_file_that_was_looked_into(
    tmp_path: Path, follow: bool, what: str, name: str
) -> None:
    engine = Slow()
    engine.path, engine.what = tmp_path / "plugin.so", what
    engine.path.write_bytes(b"as it was")
    path = str(engine.path)
    target = machine(binaries={path: ["plug"]})
    session = bp.Session(bp.uprobe(path, name), target=target, engine=engine, follow=follow)
    if not what:
        with session:
            assert len(engine.attached) == 1
    else:
        with pytest.raises(bp.TargetError, match="changed after its places") as error:
            session.open()
        assert error.value.code == "FILE_CHANGED"
    assert engine.is_idle
