"""How a worker becomes a fresh Python process with an environment of its own, and finds again what the zygote gave it.

Variables like OMP_NUM_THREADS or CUDA_VISIBLE_DEVICES are read once, when a library is imported, and the zygote has imported
some. So after the fork such a worker execs: pid, session, output and the parent stay, memory does not. What is shared travels
as open descriptors, whose numbers stand in a small file without a name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from nbray.config import ClusterConfig
from nbray.engine.inheritance import Inheritance
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.store.arena import Arena, open_anonymous_file


class Luggage(msgspec.Struct):
    """What the new process reads first."""

    config: ClusterConfig
    slot: int
    words: int
    unsent: int
    arena: int
    arena_size: int
    death_pipe: int
    profile: bytes


def replace_process(inheritance: Inheritance, slot: int, environ: Mapping[str, str]) -> NoReturn:
    """Exec this process as the worker of a slot, with these variables. Raises OSError."""
    arena, words, unsent = inheritance.arena, inheritance.words, inheritance.unsent
    luggage = Luggage(
        inheritance.config, slot, words.fd, unsent.fd, arena.fd, arena.size, inheritance.death_pipe, inheritance.profile
    )
    content = msgspec.msgpack.encode(luggage)
    file = open_anonymous_file("nbray-luggage", len(content))
    os.pwrite(file, content, 0)
    for descriptor in (file, words.fd, unsent.fd, arena.fd, inheritance.death_pipe):
        os.set_inheritable(descriptor, True)
    package = str(Path(__file__).parents[2])
    program = f"import sys; sys.path.insert(0, {package!r}); from nbray.worker_main import be_reborn; be_reborn({file})"
    os.execve(sys.executable, [sys.executable, "-c", program], dict(environ))


def unpack(file: int) -> tuple[Inheritance, int]:
    """What this process was given, and its slot; its own children shall not have it."""
    content = os.pread(file, os.fstat(file).st_size, 0)
    os.close(file)
    luggage = msgspec.msgpack.decode(content, type=Luggage)
    for descriptor in (luggage.words, luggage.unsent, luggage.arena, luggage.death_pipe):
        os.set_inheritable(descriptor, False)
    inheritance = Inheritance(
        luggage.config, Words(luggage.words), Unsent(luggage.unsent), Arena.from_fd(luggage.arena, luggage.arena_size),
        luggage.death_pipe, profile=luggage.profile,
    )  # fmt: skip
    return inheritance, luggage.slot
