from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.lab.agent.wire import Decoder, Kind, encode

FRAMES = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=300)))


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1))
def test_frames_survive_any_cutting(frames, sizes):
    stream = b"".join(encode(kind, payload) for kind, payload in frames)
    decoder = Decoder()
    found = []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += decoder.feed(stream[at : at + size])
        at += size
        turn += 1
    assert found == frames
