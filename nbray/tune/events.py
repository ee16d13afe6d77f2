"""What goes into the pure loop of an experiment, and what comes out: events, actions, and the journal's entries of both."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class _Message(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    pass


class Slots(_Message, frozen=True):
    """So many trials can run at once from now on."""

    count: int


class Reported(_Message, frozen=True):
    """A trial has reported and waits for its Answer."""

    trial_id: str
    attempt: int
    metrics: dict[str, Any]
    checkpoint: str | None = None
    """Path of a checkpoint that is complete on the disk, relative to the experiment's directory."""
    resumable: bool = False
    """Whether a checkpoint of this moment exists, or will be written if the answer is PAUSE."""


class Ended(_Message, frozen=True):
    """A trial's run has ended without an error: its function returned, or it obeyed an Answer or an Interrupt."""

    trial_id: str
    attempt: int
    obeyed: bool = False
    """Whether it ended because it was told to."""
    metrics: dict[str, Any] | None = None
    """What the function returned: a report, the last one."""
    checkpoint: str | None = None


class Failed(_Message, frozen=True):
    """A trial's run has failed: its function raised, or its process died."""

    trial_id: str
    attempt: int
    error: str
    """The traceback, or how the process died, with its last lines."""


class Asked(_Message, frozen=True):
    """Somebody wants something of a trial, or, without an id, of all of them: stop, pause, resume, clone, interrupt.

    For a single trial, stop is final. Interrupt needs no id, clone needs one.
    """

    what: str
    trial_id: str = ""


class Added(_Message, frozen=True):
    """Somebody adds a configuration to try."""

    config: dict[str, Any]


class Noticed(_Message, frozen=True):
    """Whoever runs the trials has something to tell the user."""

    text: str


class Reopened(_Message, frozen=True):
    """The experiment goes on in another process: runs that were in progress are lost, and their trials wait again."""

    resume_unfinished: bool = True
    resume_errored: bool = False
    """Whether failed trials run on from their last checkpoint."""
    restart_errored: bool = False
    """Whether failed trials begin anew."""


class Tick(_Message, frozen=True):
    """Time has passed."""


Event = Slots | Reported | Ended | Failed | Asked | Added | Noticed | Reopened | Tick


class Start(_Message, frozen=True):
    """Run a trial, from a checkpoint if there is one."""

    trial_id: str
    attempt: int
    config: dict[str, Any]
    checkpoint: str | None = None
    iteration: int = 0
    """Reports before this run: the next one is this plus one."""


class Answer(_Message, frozen=True):
    """Tell a trial that has reported how it goes on."""

    trial_id: str
    decision: str
    """CONTINUE, PAUSE or STOP."""
    why: str = ""


class Interrupt(_Message, frozen=True):
    """End a run that has not reported, or not soon enough: nobody can answer it."""

    trial_id: str


class Discard(_Message, frozen=True):
    """Remove a checkpoint that nobody needs any more."""

    path: str


class Say(_Message, frozen=True):
    """Tell the user something, once."""

    text: str


class Moved(_Message, frozen=True):
    """A trial has changed its state, or the reason for it, otherwise than by Start and Answer: it ended, failed, waits."""

    trial_id: str
    state: str
    why: str = ""
    config: dict[str, Any] | None = None
    """Given when the trial is new."""
    checkpoint: str | None = None
    """What a new trial begins from."""


class CloseReason(StrEnum):
    """Why an experiment is over."""

    DONE = "DONE"
    """Every trial has ended."""
    STOPPED = "STOPPED"
    """A person stopped all of it; it can be restored, and then goes on."""
    STOPPER = "STOPPER"
    """A stopper ended all of it."""
    TIME_BUDGET = "TIME_BUDGET"
    INTERRUPTED = "INTERRUPTED"
    """The process that waited for it was; it can be restored, too."""
    TRIAL_FAILED = "TRIAL_FAILED"
    """A trial failed and `fail_fast` is set."""
    METRIC_MISSING = "METRIC_MISSING"
    """A trial ended, and no trial had ever reported the metric."""
    ERROR = "ERROR"
    """The searcher, the scheduler or the stopper raised."""


class Closing(_Message, frozen=True):
    """The experiment will be over as soon as nothing is at work any more; Close follows, with the same reason."""

    why: CloseReason
    text: str = ""


class Close(_Message, frozen=True):
    """The experiment is over."""

    why: CloseReason
    text: str = ""
    """The reason in a sentence, or the traceback."""


Action = Start | Answer | Interrupt | Discard | Say | Moved | Closing | Close


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A line of the journal: an event, when it came, and what followed from it."""

    number: int
    now: float
    """Seconds since the experiment first began, pauses of the whole experiment left out."""
    event: Event
    actions: list[Action]
