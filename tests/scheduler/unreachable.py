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
    ("task", ("SUCCEEDED", "CANCELLED"), SAID, "a task ends with what its worker says, or when it is in no worker any more"),
    ("task", ("FAILED", "GONE"), SAID,
     "calls beside the one that leaves its actor (exit_actor) fail with it; here the process ends there, and says no more"),
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
    ("task", ("WAITING", "QUEUED", "CANCELLED"), ("Output",)),  # of a thread that an earlier attempt has left behind
    ("task", ("WAITING", "CANCELLING"), ("Held",)),
    ("task", ("CANCELLING", "GONE"), ("CreateActor",)),
    ("task", ("GONE",), ("Call", "Consumed")),
    ("worker", ("IDLE", "BLOCKED", "STOPPING", "HOSTING"), ("Call", "Fetch", "LetGone")),
    ("worker", ("BLOCKED",), ("Submit", "Allocate", "GiveBack", "Held", "Released", "Subscribe", "Output", *SAID)),
    ("worker", ("STOPPING",), ("Held", "Released", "Subscribe", "Allocate", "GiveBack", "Blocked", "Unblocked")),
    ("worker", ("STARTING",), ("WorkerExited",)),
    ("actor", ("RESTARTING", "EXITING"), (*SAID, "Held", "Released", "Subscribe", "Cancel", "KillActor", "ExitActor")),
    ("actor", ("DEAD",), ("TakenBack",)),
    ("place", ("LEAVING", "WRITING", "RESTORING", "ENDING"), ("Submit", "Call", "Held", "Released", "Subscribe", "Fetch")),
    ("place", ("WRITING", "ON_DISK", "RESTORING"), ("LetGone",)),
    ("place", ("ENDING",), ("SpillFailed", "RestoreDone", "RestoreFailed")),
    ("place", ("ON_DISK",), ("Subscribe",)),
)
"""Pairs that take two things at a time which seldom happen: 2,000 seeds may miss some of them, the nightly tier none."""


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
