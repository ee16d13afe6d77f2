"""A runner: the actor in which trials run, one after another, with what each of them reserves."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nbray.actor_handles import ActorHandle
from nbray.errors import ActorDied, ClusterError, TaskCancelledError
from nbray.exceptions_shipping import format_traceback
from nbray.objects import ObjectRef, get
from nbray.tune import registry
from nbray.tune.attempt import Assignment, Attempt, Workplace
from nbray.tune.events import Answer, Ended, Failed, Reported
from nbray.tune.execution import Execution
from nbray.tune.reporting import TrialEnd

RENEWAL_SECONDS = 1.0
"""Many short trials share a call, as that costs more than they do; after so long it ends, since each call has its own share of
output and its own bar in a timeline."""

_GONE = (ActorDied, ClusterError, TaskCancelledError)
"""What asking the controller raises when nobody leads the experiment any more, or this call was cancelled."""


@dataclass(frozen=True)
class Equipment:
    """What a runner is made with."""

    code: ObjectRef
    """The trainable, and what `register_env` was told: stored once, and loaded by runners only."""
    workplace: Workplace


class Runner:
    """Its `run` asks the controller for one trial after another; user code runs on the main thread of its process.

    All talk goes this way, so that a report costs one call, and so do an end and the next start together.
    """

    def __init__(self, number: int, equipment: Equipment, controller: ActorHandle) -> None:
        self._number = number
        self._equipment = equipment
        self._controller = controller
        self._execution: Execution | None = None

    def run(self, assignment: Assignment | None, alone: bool) -> Assignment | None:
        """Run a trial, or without `alone` others behind it, too; returns the next assignment for another call, or None.

        Without an assignment it only gets one: the call that runs it can then bear its name. A KeyboardInterrupt passes:
        whoever has cancelled the call knows which trial it was.
        """
        until = time.monotonic() + RENEWAL_SECONDS
        try:
            if assignment is None:
                return self._next(None)
            while assignment is not None:
                assignment = self._next(self._outcome(assignment))
                if assignment is not None and (alone or time.monotonic() >= until):
                    return assignment
        except _GONE:
            pass
        self._close()
        return None

    def _next(self, outcome: Ended | Failed | None) -> Assignment | None:
        """Tell what came of the last trial and wait for another."""
        assignment: Assignment | None = get(self._controller.next_assignment.remote(self._number, outcome))
        return assignment

    def _outcome(self, assignment: Assignment) -> Ended | Failed:
        attempt = Attempt(assignment, self._equipment.workplace, self._send)
        try:
            execution = self._prepared()
        except Exception as error:  # noqa: BLE001 - what the user's modules raise while they are imported
            return Failed(attempt.trial_id, attempt.number, format_traceback(error))
        return execution.run(attempt)

    def _prepared(self) -> Execution:
        """The trainable, which is fetched with the first trial: what loading it raises then has a trial to fail."""
        if self._execution is None:
            trainable, environments = get(self._equipment.code)
            registry.adopt(environments)
            self._execution = Execution(trainable)
        return self._execution

    def _send(self, message: Reported) -> Answer:
        try:
            answer: Answer = get(self._controller.report.remote(message))
        except _GONE:
            raise TrialEnd from None
        return answer

    def _close(self) -> None:
        execution, self._execution = self._execution, None
        if execution is not None:
            execution.close()
