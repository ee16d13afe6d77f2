"""What can be asked about actors: who has a name, how one fares, and all of them."""

from __future__ import annotations

from collections import deque

from nbray.ids import ActorId
from nbray.scheduler.actor_records import Actor
from nbray.scheduler.actors import Actors
from nbray.scheduler.cell_runs import Job
from nbray.scheduler.deaths import unknown_actor
from nbray.scheduler.messages import Ask
from nbray.scheduler.ownership import Objects
from nbray.scheduler.processes import Process
from nbray.scheduler.states import ActorState
from nbray.snapshot import ActorSnapshot
from nbray.snapshot import ActorState as StateName

PAST_ACTORS = 100
"""Dead actors without handles that can still be listed."""

_NAMES: dict[ActorState, StateName] = {
    ActorState.NEW: "PENDING",
    ActorState.PENDING: "PENDING",
    ActorState.ALIVE: "ALIVE",
    ActorState.RESTARTING: "RESTARTING",
    ActorState.EXITING: "EXITING",
    ActorState.DEAD: "DEAD",
}


class ActorAnswers:
    """Reads the table of actors; who finds one by its name holds a reference to it from then on."""

    QUESTIONS = "actor", "actor_state", "actors", "namespace"

    def __init__(self, actors: Actors, objects: Objects) -> None:
        self._actors = actors
        self._objects = objects
        self._past: deque[ActorSnapshot] = deque(maxlen=PAST_ACTORS)
        actors.on_forgotten = lambda actor: self._past.append(picture(actor))

    def answer(self, process: Process, job: Job, message: Ask) -> object | None:
        """The answer to a question about actors, None for any other."""
        if message.question == "actor":
            return self._named(process, job, message.text)
        if message.question == "actor_state":
            return self._state(ActorId(message.argument))
        if message.question == "actors":
            return self.table() + list(self._past)
        if message.question == "namespace":
            job.namespace = message.text or job.namespace
            return {"namespace": job.namespace}
        return None

    def table(self) -> list[ActorSnapshot]:
        """All that are alive, will be, or are dead while somebody has a handle."""
        return [picture(actor) for actor in self._actors.table.values()]

    def _named(self, process: Process, job: Job, text: str) -> dict[str, object]:
        """Whose name it is: `text` is "namespace\\nname", with the asking job's own namespace where none is given."""
        namespace, _, name = text.rpartition("\n")
        actor = self._actors.names.find(namespace or job.namespace, name)
        if actor is None:
            return {
                "actor_id": 0, "description": b"", "class_name": "", "namespace": namespace or job.namespace,
                "names": self._actors.names.among(namespace or job.namespace),
            }  # fmt: skip
        self._objects.hold(process, [actor.actor_id])
        return {
            "actor_id": actor.actor_id, "description": actor.spec.description, "class_name": actor.spec.class_name,
            "namespace": actor.namespace, "names": [],
        }  # fmt: skip

    def _state(self, actor_id: ActorId) -> dict[str, object]:
        actor = self._actors.table.get(actor_id)
        if actor is None:
            past = next((one for one in self._past if one.actor_id == actor_id), None)
            why = past.death if past is not None else unknown_actor(actor_id, "It").message
            return {"state": "DEAD", "why": why, "pid": 0, "worker": ""}
        shown = picture(actor)
        worker = actor.worker.name if actor.worker is not None else ""
        return {"state": shown.state, "why": shown.death, "pid": shown.pid, "worker": worker}


def picture(actor: Actor) -> ActorSnapshot:
    """What people see of an actor."""
    worker, state, spec = actor.worker, actor.state, actor.spec
    assert isinstance(state, ActorState)
    return ActorSnapshot(
        actor.actor_id, spec.class_name, _NAMES[state], name=spec.name, namespace=actor.namespace, job=actor.run.job.name,
        cell_run=actor.run.cell_run, pid=worker.pid if worker is not None else 0, slot=worker.slot if worker is not None else -1,
        pending=actor.unended - len(actor.running), running=len(actor.running), restarts=actor.restarts,
        max_restarts=spec.max_restarts, detached=spec.detached,
        resources=dict(worker.shape.amounts) if worker is not None and worker.shape is not None else {},
        death=actor.death.message if actor.death is not None else "",
    )  # fmt: skip
