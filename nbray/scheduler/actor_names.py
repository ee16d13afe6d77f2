"""Names of actors, each one's own within its namespace; a name is free again as soon as its actor is to end."""

from __future__ import annotations

from nbray.scheduler.actor_records import Actor


class ActorNames:
    """Named actors that take calls, or will."""

    def __init__(self) -> None:
        self._actors: dict[tuple[str, str], Actor] = {}

    def find(self, namespace: str, name: str) -> Actor | None:
        """The actor of this name."""
        return self._actors.get((namespace, name))

    def taken(self, actor: Actor) -> Actor | None:
        """Who has the name that this one is to have, if anybody."""
        return self.find(actor.namespace, actor.spec.name) if actor.spec.name else None

    def add(self, actor: Actor) -> None:
        """It can be found by its name from now on."""
        if actor.spec.name:
            self._actors[actor.namespace, actor.spec.name] = actor

    def remove(self, actor: Actor) -> None:
        """It cannot be found any more."""
        key = actor.namespace, actor.spec.name
        if self._actors.get(key) is actor:
            del self._actors[key]

    def among(self, namespace: str) -> list[str]:
        """The names that are taken in a namespace."""
        return sorted(name for space, name in self._actors if space == namespace)
