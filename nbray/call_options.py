"""The options of a call as a user writes them, checked and turned into `CallOptions`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

from nbray import resources as amounts
from nbray.backends.backend import CallOptions
from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.ids import NO_TASK, ObjectId
from nbray.runtime_env import Profile, profile_of
from nbray.scheduler.messages import DYNAMIC, MOST_RETURNS, STREAMING

NAMES = (
    "num_cpus", "num_gpus", "memory", "resources", "num_returns", "max_retries", "retry_exceptions", "timeout", "name",
    "priority", "max_calls", "runtime_env", "scheduling_strategy", "_generator_backpressure_num_objects",
)  # fmt: skip
_ONE_MACHINE = ("label_selector", "accelerator_type")

RETRIES = 3
"""How often a task with `retry_exceptions` is tried again where `max_retries` does not say."""

_YIELDING = {"streaming": STREAMING, "dynamic": DYNAMIC}

Options = dict[str, Any]


def build(options: Mapping[str, Any]) -> CallOptions:
    """The options, checked; equal options give the same object, by which the backend knows what it has seen."""
    for name in options:
        if name not in NAMES:
            _refuse_unknown(name)
    given = {name: value for name, value in options.items() if value is not None}
    requested = amounts.request(
        given.get("num_cpus"),
        given.get("num_gpus"),
        amounts.to_bytes(given["memory"], "memory") if "memory" in given else None,
        _resources(given.get("resources")),
    )
    return _interned(
        _name(given.get("name", "")),
        _num_returns(given.get("num_returns", 1)),
        tuple(sorted(requested.items())),
        _max_retries(given.get("max_retries", RETRIES if given.get("retry_exceptions") else None)),
        _retry_exceptions(given.get("retry_exceptions", False)),
        _timeout(given.get("timeout")),
        _window(given.get("_generator_backpressure_num_objects")),
        _priority(given.get("priority", 0)),
        _max_calls(given.get("max_calls", 0)),
        profile_of(given.get("runtime_env")),
        *_gang(given.get("scheduling_strategy")),
    )


@lru_cache(maxsize=1024)
def _interned(
    name: str, num_returns: int, requested: tuple[tuple[str, int], ...], max_retries: int | None,
    retry_exceptions: bool | tuple[type[BaseException], ...], timeout: float | None, window: int,
    priority: int, max_calls: int, profile: Profile, gang: ObjectId, gang_epoch: str, bundle: int,
) -> CallOptions:  # fmt: skip
    return CallOptions(
        name=name, num_returns=num_returns, resources=dict(requested), max_retries=max_retries,
        retry_exceptions=retry_exceptions, timeout=timeout, window=window, priority=priority, max_calls=max_calls,
        profile=profile, gang=gang, gang_epoch=gang_epoch, bundle=bundle,
    )  # fmt: skip


def _refuse_unknown(name: str) -> NoReturn:
    if name in _ONE_MACHINE:
        raise NotSupportedHere(f"{name}= chooses among machines, and this cluster is one: leave it out")
    if name == "cache":
        raise UsageError("cache= belongs to a function: @nbray.remote(cache=True), whose .remote(...) then keeps results on disk")
    if name.startswith("placement_group"):
        raise UsageError(f"there is no option {name}=: write scheduling_strategy=PlacementGroupSchedulingStrategy(group, index)")
    near = difflib.get_close_matches(name, NAMES, 1)
    hint = f"did you mean {near[0]}=?" if near else f"the options are {', '.join(NAMES)}"
    raise UsageError(f"there is no option {name}=: {hint}")


def _resources(value: Any) -> Mapping[str, float] | None:
    if value is not None and not isinstance(value, Mapping):
        raise WrongType(f'resources={value!r}: expected a dict of name to amount, for example resources={{"disk": 1}}')
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongType(f'name={value!r}: expected text, for example name="train"')
    return value


def _num_returns(value: Any) -> int:
    if isinstance(value, str) and value in _YIELDING:
        return _YIELDING[value]
    if not _is_whole(value) or value < 0:
        raise UsageError(
            f'num_returns={value!r}: expected a whole number >= 0, for example num_returns=2, or "streaming" or "dynamic" for a '
            "function that yields"
        )
    if value > MOST_RETURNS:
        raise UsageError(
            f"num_returns={value!r}: expected at most {MOST_RETURNS:,}, as each is an object from the start; return one list, or "
            'yield the items and write num_returns="streaming"'
        )
    return int(value)


def _window(value: Any) -> int:
    if value is None:
        return 0
    if not _is_whole(value) or (value < 1 and value != -1):
        raise UsageError(
            f"_generator_backpressure_num_objects={value!r}: expected how many items may be ready before they are taken, at "
            "least 1, or -1 for any number"
        )
    return int(value)


def _max_retries(value: Any) -> int | None:
    if value is not None and (not _is_whole(value) or value < -1):
        raise UsageError(f"max_retries={value!r}: expected a whole number >= 0, or -1 to try again without end")
    return None if value is None else int(value)


def _retry_exceptions(value: Any) -> bool | tuple[type[BaseException], ...]:
    if isinstance(value, bool):
        return value
    kinds = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise WrongType(f"retry_exceptions={value!r}: expected True or a list of exception types, for example [OSError]")
    return kinds


def _timeout(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise UsageError(f"timeout={value!r}: expected seconds > 0 that the task may run, for example timeout=60")
    return float(value)


def _priority(value: Any) -> int:
    if not _is_whole(value):
        raise UsageError(f"priority={value!r}: expected a whole number; tasks of a higher one go first, 0 is usual")
    return int(value)


def _max_calls(value: Any) -> int:
    if not _is_whole(value) or value < 0:
        raise UsageError(f"max_calls={value!r}: expected after how many calls a worker is replaced, for example max_calls=10")
    return int(value)


def _gang(value: Any) -> tuple[ObjectId, str, int]:
    """The placement group of a scheduling strategy, its cluster, and the bundle."""
    if value is None or value in ("DEFAULT", "SPREAD"):  # on one machine there is nothing to choose
        return NO_TASK, "", -1
    group = getattr(value, "placement_group", None)
    if group is None:
        raise UsageError(
            f'scheduling_strategy={value!r}: expected "DEFAULT", "SPREAD" or PlacementGroupSchedulingStrategy(group) from '
            "nbray.util.scheduling_strategies"
        )
    return group.id, group.epoch, value.placement_group_bundle_index


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
