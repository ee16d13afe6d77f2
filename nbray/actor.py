"""Ray's name for `nbray.actors`: `from nbray.actor import ActorHandle, exit_actor`."""

from __future__ import annotations

from nbray.actors import ActorClass, ActorHandle, ActorMethod, exit_actor, method

__all__ = ["ActorClass", "ActorHandle", "ActorMethod", "exit_actor", "method"]
