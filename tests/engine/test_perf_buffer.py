from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.engine.perf_buffer import PerfReader
from bpfprobe.errors import LoadError
from tests.taking import Copied, take

SAMPLE, LOST, THROTTLE = 9, 2, 5
SIZE = 4096


class Buffer:
    """The perf buffer of a CPU as the kernel lays it out, in ordinary memory."""

    def __init__(self, start: int = 0) -> None:
        self.positions = memoryview(bytearray(struct.pack("=QQ", start, start))).cast("Q")
        self.data = Copied(SIZE)
        view = memoryview(self.data)
        self.reader = PerfReader(self.positions, view, self.data, SIZE)

    def put(self, kind: int, body: bytes) -> bool:
        whole = struct.pack("=IHH", kind, 0, 8 + len(body)) + body
        head, tail = self.positions
        if head + len(whole) - tail > SIZE:
            return False
        for index, byte in enumerate(whole):
            self.data[(head + index) % SIZE] = byte
        self.positions[0] = head + len(whole)
        return True

    def sample(self, payload: bytes) -> bool:
        # The kernel rounds the length and the data up together, to a multiple of 8.
        size = (4 + len(payload) + 7) // 8 * 8 - 4
        return self.put(SAMPLE, struct.pack("=I", size) + payload.ljust(size, b"\0"))


def test_nothing_to_take() -> None:
    assert take(Buffer().reader, 10) == []


def test_samples_with_their_padding() -> None:
    buffer = Buffer()
    buffer.sample(b"abcd")
    buffer.sample(b"abcde")
    assert take(buffer.reader, 10) == [b"abcd", b"abcde" + bytes(7)]
    assert buffer.positions[1] == buffer.positions[0]


def test_losses_are_counted_and_other_records_skipped() -> None:
    buffer = Buffer()
    buffer.put(LOST, struct.pack("=QQ", 7, 41))
    buffer.put(THROTTLE, bytes(24))
    buffer.sample(b"kept")
    buffer.put(LOST, struct.pack("=QQ", 7, 2))
    assert take(buffer.reader, 10) == [b"kept"]
    assert buffer.reader.lost == 43
    assert buffer.positions[1] == buffer.positions[0]


def test_limit_leaves_the_rest_in_the_buffer() -> None:
    buffer = Buffer()
    for index in range(5):
        buffer.sample(bytes([index] * 4))
    assert take(buffer.reader, 2) == [b"\0" * 4, b"\1" * 4]
    assert take(buffer.reader, 100) == [b"\2" * 4, b"\3" * 4, b"\4" * 4]


def test_a_record_that_makes_no_way_is_refused() -> None:
    buffer = Buffer()
    buffer.data[:8] = struct.pack("=IHH", SAMPLE, 0, 0)
    buffer.positions[0] = 8
    with pytest.raises(LoadError):
        take(buffer.reader, 1)


@pytest.mark.parametrize("before_end", [8, 16, 24])
def test_a_loss_that_wraps_is_counted(before_end: int) -> None:
    buffer = Buffer(SIZE - before_end)
    buffer.put(LOST, struct.pack("=QQ", 7, 41))
    assert take(buffer.reader, 1) == []
    assert buffer.reader.lost == 41


@pytest.mark.parametrize("before_end", [8, 16, 24])
def test_a_record_that_wraps_is_put_together(before_end: int) -> None:
    buffer = Buffer(SIZE - before_end)
    buffer.sample(b"0123456789abcdef0123")
    assert take(buffer.reader, 1) == [b"0123456789abcdef0123"]


@given(
    st.lists(st.one_of(st.binary(max_size=600), st.integers(min_value=1, max_value=20))),
    st.integers(min_value=0, max_value=SIZE // 8).map(lambda words: words * 8),
)
def test_what_goes_in_comes_out_in_order(steps: list[bytes | int], start: int) -> None:
    buffer = Buffer(start)
    sent: list[bytes] = []
    taken: list[bytes] = []
    for step in steps:
        if isinstance(step, int):
            taken += take(buffer.reader, step)
        elif buffer.sample(step):
            sent.append(step)
    taken += take(buffer.reader, 1 << 20)
    assert len(taken) == len(sent)
    for got, put in zip(taken, sent, strict=True):
        assert got[: len(put)] == put
        assert len(got) - len(put) <= 7
