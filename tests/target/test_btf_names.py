"""Names of a BTF, from a file that can be mapped and from one that cannot."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, Any

import pytest

from bpfprobe.target.btf_names import BtfNames
from bpfprobe.target.libbpf_btf import Kind
from tests.btf_bytes import BtfFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["mapped", "read"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As in kernels before Linux 6.16, whose file cannot be mapped, or as in those since."""
    if request.param == "read":

        def refuse(*arguments: Any) -> Any:
            raise OSError(19, "No such device")

        monkeypatch.setattr(mmap, "mmap", refuse)
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = BtfFile()
    made.add(Kind.FWD, "bpf_map_type")
    made.add(Kind.FWD, "NOT_BPF_RINGBUF")
    made.add(Kind.FWD, "x" * 100_000)
    made.add(Kind.FWD, "BPF_HASH")
    return made.write(tmp_path / "btf")


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("bpf_map_type", True),
        ("BPF_HASH", True),
        ("BPF_HASHES", False),
        ("BPF", False),
        ("BPF_RINGBUF", None),  # may share the end of the longer one
    ],
)
def test_a_name(path: Path, name: str, there: bool | None) -> None:
    assert BtfNames(str(path)).has(name) is there


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("cut", [0, 10, 24, 200])
def test_of_a_damaged_file_nothing_is_known(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    assert BtfNames(str(path)).has("BPF_HASH") is None


@pytest.mark.usefixtures("how")
def test_of_no_btf_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(struct.pack("=HBBIIIII", 0x464C, 1, 0, 24, 0, 0, 0, 100))
    for name in ("other", "nowhere", "."):
        assert BtfNames(str(tmp_path / name)).has("BPF_HASH") is None
