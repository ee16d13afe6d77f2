"""Bytes in a file behind their length and checksum, so that a pickle is only read if it is what was written.

    "nbs1", length, xxh3_128 | the bytes

The checksum finds damage, not malice: who can write there is the user.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

import xxhash

_HEAD = struct.Struct("<4sQ16s")
_MAGIC = b"nbs1"


class Broken(Exception):
    """What a file holds is not what was written there; says how it differs."""


def write(file: BinaryIO, data: bytes) -> None:
    """Write one piece."""
    file.write(_HEAD.pack(_MAGIC, len(data), xxhash.xxh3_128_digest(data)))
    file.write(data)


def read(file: BinaryIO) -> bytes:
    """The next piece of a file on the disk. Raises Broken."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise Broken("it is cut off")
    magic, length, checksum = _HEAD.unpack(head)
    if magic != _MAGIC:
        raise Broken("it does not begin as what nbray writes")
    if length > os.fstat(file.fileno()).st_size - file.tell():
        raise Broken("it is cut off")
    data = file.read(length)
    if xxhash.xxh3_128_digest(data) != checksum:
        raise Broken("its checksum does not match")
    return data
