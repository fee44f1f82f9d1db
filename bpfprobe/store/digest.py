"""The one hash of this package: names of files, and seals on what is in them."""

from __future__ import annotations

try:
    from _blake2 import blake2b  # what hashlib wraps, which costs a millisecond to import
except ImportError:
    from hashlib import blake2b

SEAL_BYTES = 32


def seal(data: bytes) -> bytes:
    """32 bytes (BLAKE2b) that change with any bit of the data."""
    return blake2b(data, digest_size=SEAL_BYTES).digest()


def digest(*parts: bytes) -> str:
    """32 hexadecimal characters for these parts; other parts, or other borders, give others."""
    whole = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return blake2b(whole, digest_size=16).hexdigest()
