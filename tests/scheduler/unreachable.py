"""Which pairs of a state and an event cannot occur, and why; that none of them does is checked wherever coverage is."""

from __future__ import annotations

from tests.scheduler.coverage import Pair

SAID = "Finished", "TakenBack", "Blocked", "Unblocked", "Yielded"
"""What a worker says of tasks that it has."""
OF_THE_DISK = "SpillDone", "SpillFailed", "RestoreDone", "RestoreFailed"
REFERENCES = "Submit", "Call", "Held", "Released", "Subscribe", "Fetch", "LetGone"

_NEVER: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str], ...] = (
    ("task", ("NEW",), (), "a task is NEW only inside the event that brings it"),
    ("task", ("WAITING", "QUEUED"), SAID, "a worker has given it back, or is gone, before it stands in a line again"),
    ("task", ("WAITING", "QUEUED", "SUCCEEDED", "FAILED", "CANCELLED", "GONE"), ("Left", "WorkerExited"),
     "what stands in a worker is ASSIGNED or CANCELLING"),
    ("task", ("GONE",), ("Consumed",), "who takes items holds the stream, and says so before it lets go"),
    ("worker", ("NEW", "DEAD"), (), "a worker is that only inside the event that forks it, or that ends it"),
    ("worker", ("STARTING",), (*SAID, *REFERENCES, "Output", "Allocate", "GiveBack", "ExitActor", "Left"),
     "a worker that says something has joined"),
    ("worker", ("IDLE",), ("Finished", "Blocked", "Unblocked", "Yielded", "ExitActor"), "an idle worker runs nothing"),
    ("worker", ("BUSY", "BLOCKED"), ("ExitActor",), "only an actor exits, and before that it says what it waits for no more"),
    ("worker", ("BUSY", "HOSTING"), ("Unblocked",), "it was blocked, then"),
    ("actor", ("NEW",), (), "an actor is NEW only inside the event that creates it"),
    ("actor", ("PENDING",), ("Yielded", "ExitActor"), "its creation yields nothing, and is reported before anything else"),
    ("actor", ("DEAD",), ("Finished", "Blocked", "Unblocked", "Yielded", "ExitActor"), "its worker has never served it"),
    ("gang", ("NEW", "REMOVED"), (), "a gang is that only inside the event that creates it, or that ends it"),
    ("place", ("GONE",), (), "a place that is GONE is in no table"),
    ("place", ("IN_MEMORY", "LEAVING", "ON_DISK"), OF_THE_DISK, "the disk does nothing with it"),
    ("place", ("WRITING",), ("RestoreDone", "RestoreFailed"), "the disk does what it was asked to"),
    ("place", ("RESTORING",), ("SpillDone", "SpillFailed"), "the disk does what it was asked to"),
    ("place", ("ENDING",), ("LetGone",), "who has let go does not read it"),
)  # fmt: skip

_RARE: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("task", ("SUCCEEDED", "FAILED", "CANCELLED", "GONE"), SAID),  # calls whose actor has ended meanwhile
    ("task", ("WAITING", "QUEUED", "CANCELLED"), ("Output",)),  # of a thread that an earlier attempt has left behind
    ("task", ("WAITING", "ASSIGNED", "CANCELLING"), ("Held",)),
    ("task", ("GONE", "CANCELLING"), ("Call", "CreateActor", "Cancel", "Held", "Output")),
    ("worker", ("IDLE", "BLOCKED", "STOPPING", "HOSTING", "BUSY"), (*REFERENCES, "GiveBack", "Allocate", "Output", "Yielded")),
    ("worker", ("BLOCKED", "STOPPING"), SAID),
    ("worker", ("STARTING",), ("WorkerExited",)),
    ("actor", ("RESTARTING", "EXITING", "DEAD"), ()),
    ("actor", ("PENDING",), ("Blocked", "Unblocked")),
    ("place", ("LEAVING", "WRITING", "ON_DISK", "RESTORING", "ENDING"), (*REFERENCES, *OF_THE_DISK)),
)
"""Pairs that take two things at a time which seldom happen: the nightly tier meets them, the pull-request tier need not."""


def unreachable(pair: Pair) -> str:
    """Why the pair cannot occur; empty when it can."""
    machine, state, event = pair
    for of_machine, states, events, why in _NEVER:
        if machine == of_machine and state in states and (event in events or not events):
            return why
    return ""


def rare(pair: Pair) -> bool:
    """Whether 2,000 seeds may miss the pair."""
    machine, state, event = pair
    return any(machine == of_it and state in states and (event in events or not events) for of_it, states, events in _RARE)
