"""What can be tuned: functions that report, yield or return, and classes with a step; what they need, and their constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nbray.checkpoints import Content


class Trainable:
    """Derive from it and override `setup` and `step` to tune a class; the names of the methods are Ray's."""

    config: dict[str, Any]
    iteration: int
    """Steps that have been reported."""

    def setup(self, config: dict[str, Any]) -> None:
        """Get ready to train with this configuration."""

    def step(self) -> Mapping[str, Any]:
        """Train for a while and return what is to be reported; with `"done": True` it is the last time."""
        raise NotImplementedError

    def save_checkpoint(self, checkpoint_dir: str) -> Content | None:
        """Write what is needed to go on into this directory, or return a dict of it."""
        raise NotImplementedError

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from what `save_checkpoint` has written, its directory, or returned, its dict."""
        raise NotImplementedError

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another configuration instead of being made anew; False, which is the default, where that cannot be done."""
        return False

    def cleanup(self) -> None:
        """Give back what `setup` has taken."""


def with_parameters(trainable: Callable[..., Any] | type[Trainable], **parameters: Any) -> Any:
    """The same trainable with constant parameters, which are stored once and given to every trial.

    A function gets them as keyword arguments, a class as those of `setup`. Use it for large data.
    """
    raise NotImplementedError


def with_resources(trainable: Any, resources: Mapping[str, float]) -> Any:
    """The same trainable with what each of its trials reserves, for example `{"CPU": 2, "GPU": 0.5}`."""
    raise NotImplementedError


def resources_of(trainable: Any) -> dict[str, float]:
    """What each trial reserves: what `with_resources` was given, else one CPU."""
    raise NotImplementedError


def check_trainable(trainable: Any) -> None:
    """Refuse what cannot be tuned. Raises WrongType."""
    raise NotImplementedError
