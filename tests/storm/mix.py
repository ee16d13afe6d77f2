"""The load of a storm: which job comes as number n of a seed, which tasks it has, and what the right answer is. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

import msgspec

Kind = Literal["task", "graph", "actor", "object", "odd"]

SHARES: dict[Kind, int] = {"task": 60, "graph": 20, "actor": 10, "object": 5, "odd": 5}
"""Parts in a hundred."""
GRAPHS = ("fan", "chain", "nested")
OBJECTS = ("put", "made", "passed")
ODD = ("raises", "prints", "unpicklable_result", "unpicklable_error", "flaky", "cancelled")
RETRIES = (0, 0, 1, 3)
MOST_NODES = 8
"""Node k of job n is the task n * MOST_NODES + k."""
ACTORS = 4
FLAKY_RETRIES = 2

LONGEST_SECONDS = 0.05
SHORTEST_SECONDS = 0.001
SMALLEST_BYTES = 1 << 20
LARGEST_BYTES = 256 << 20


class Job(msgspec.Struct, frozen=True):
    """One thing that the notebook asks for: some tasks, or a call of an actor."""

    number: int
    kind: Kind
    how: str
    """Which graph, which way of an object, what is odd about it; for an actor, whether its calls are repeated."""
    seconds: float
    retries: int
    nodes: int
    """Tasks that it has; calls of actors have none in the ledger of tasks."""
    size: int = 0
    """Bytes of its object."""
    actor: int = 0
    talks: bool = False
    """Prints a line before it begins."""


def job(seed: int, number: int, largest: int = LARGEST_BYTES) -> Job:
    """The job with this number; the same for the same seed."""
    draw = random.Random(f"{seed}/{number}")
    kind = draw.choices(list(SHARES), list(SHARES.values()))[0]
    seconds = SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** draw.random()
    retries, talks = draw.choice(RETRIES), draw.random() < 0.2
    if kind == "graph":
        how = draw.choice(GRAPHS)
        nodes = draw.randint(3, 6) if how == "fan" else draw.randint(2, 4) if how == "chain" else 3
        return Job(number, kind, how, seconds / 2, retries, nodes, talks=talks)
    if kind == "actor":
        actor = draw.randrange(ACTORS)
        return Job(number, kind, "repeated" if repeats(actor) else "once", min(seconds, 0.01), 0, 0, actor=actor)
    if kind == "object":
        how = draw.choice(OBJECTS)
        return Job(number, kind, how, 0.0, retries, 2 if how == "passed" else 1, size=_size(draw.random(), largest))
    if kind == "odd":
        how = draw.choice(ODD)
        retries = {"flaky": FLAKY_RETRIES, "prints": retries}.get(how, 0)
        return Job(number, kind, how, 5.0 if how == "cancelled" else seconds, retries, 1, talks=how == "prints")
    return Job(number, kind, "", seconds, retries, 1, talks=talks)


def repeats(actor: int) -> bool:
    """Whether an actor starts again and repeats its calls; the others run each call at most once."""
    return actor % 2 == 1


def _size(draw: float, largest: int) -> int:
    """Small ones are many: the share of those above s falls with 1/s, up to the largest.

    >>> _size(0.0, LARGEST_BYTES) >> 20, _size(0.5, LARGEST_BYTES) >> 20, _size(0.999999, LARGEST_BYTES) >> 20
    (1, 1, 255)
    """
    least, most = 1 / largest, 1 / SMALLEST_BYTES
    return int(1 / (most - draw * (most - least))) // 8 * 8


def nodes(one: Job) -> Iterator[int]:
    """The tasks of a job, as the ledger calls them; the last one gives the answer."""
    return iter(range(one.number * MOST_NODES, one.number * MOST_NODES + one.nodes))


def job_of(node: int) -> int:
    """The number of the job that a task belongs to."""
    return node // MOST_NODES


# ---------------------------------------------------------------- answers


def digest(*inputs: int) -> int:
    """What every task returns: a hash of all that it was given.

    >>> digest(1, 2) == digest(1, 2) != digest(2, 1)
    True
    """
    return int.from_bytes(blake2b(repr(inputs).encode(), digest_size=7).digest())


def token(seed: int, node: int) -> int:
    """What a task is given beside its own number."""
    return digest(seed, node, 77)


def answer(seed: int, one: Job) -> int | None:
    """What the job gives if nothing fails; None where it is to fail."""
    ids = list(nodes(one))
    leaves = [digest(node, token(seed, node)) for node in ids]
    if one.kind == "actor":
        return digest(one.number, one.actor)
    if one.kind == "object":
        return object_answer(one.number, one.size)
    if one.kind == "graph" and one.how == "chain":
        value = leaves[0]
        for node in ids[1:]:
            value = digest(node, token(seed, node), value)
        return value
    if one.kind == "graph":
        return digest(ids[-1], token(seed, ids[-1]), *leaves[:-1])
    if one.kind == "odd" and one.how not in ("prints", "flaky"):
        return None
    return leaves[-1]


def object_answer(number: int, size: int) -> int:
    """What is asked of an array: that its ends and its middle are as they were made."""
    words = size // 8
    return digest(number, words, *(element(number, place) for place in places(words)))


def element(number: int, place: int) -> int:
    """What stands in the array of this number at this place: its bytes differ from those of any other.

    >>> element(3, 0) != element(4, 0) and element(3, 1) - element(3, 0) == 1
    True
    """
    return (number << 32) + place


def places(words: int) -> tuple[int, ...]:
    """Where an array is looked at; beside that, all of it is summed up."""
    return (0, words // 3, words // 2, words - 1)
