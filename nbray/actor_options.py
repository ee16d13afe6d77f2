"""The options of actors and of their methods as a user writes them, checked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from nbray import call_options
from nbray.backends.backend import ActorOptions, CallOptions
from nbray.call_options import Options
from nbray.errors import NotSupportedHere, UsageError, WrongType

RESERVED = ("num_cpus", "num_gpus", "memory", "resources", "scheduling_strategy", "runtime_env", "priority")
"""What the creation of an actor takes as a task does; the actor holds its resources as long as it lives."""

NAMES = (
    *RESERVED, "name", "namespace", "lifetime", "get_if_exists", "max_restarts", "max_task_retries", "max_concurrency",
    "max_pending_calls",
)  # fmt: skip
METHOD_NAMES = ("num_returns", "name", "max_task_retries", "retry_exceptions", "_generator_backpressure_num_objects")

_NOT_HERE = {
    "concurrency_groups": "give the actor max_concurrency=, or make one actor of each group",
    "concurrency_group": "give the actor max_concurrency=, or make one actor of each group",
    "num_returns": "it belongs to a method: decorate that with @nbray.method(num_returns=2)",
    "max_retries": "for actors it is max_restarts=, and max_task_retries= for their calls",
    "retry_exceptions": "it belongs to a method: @nbray.method(max_task_retries=3, retry_exceptions=[OSError])",
    "timeout": "it belongs to tasks; give nbray.get(ref, timeout=) the time that you can wait",
    "max_calls": "it belongs to tasks; end an actor by nbray.kill(actor)",
}


def build(options: Mapping[str, Any]) -> tuple[CallOptions, ActorOptions]:
    """What creates the actor, and what the actor is, without its class."""
    for name in options:
        if name not in NAMES:
            _refuse_unknown(name, NAMES, "an actor")
    given = {name: value for name, value in options.items() if value is not None}
    creation = {name: given[name] for name in RESERVED if name in given}
    made = ActorOptions(
        class_name="",
        name=_text(given, "name"),
        namespace=_text(given, "namespace"),
        detached=_detached(given.get("lifetime")),
        get_if_exists=_flag(given, "get_if_exists"),
        max_restarts=_count(given, "max_restarts"),
        max_task_retries=_count(given, "max_task_retries"),
        max_concurrency=_positive(given.get("max_concurrency"), "max_concurrency"),
        max_pending_calls=_pending(given.get("max_pending_calls")),
    )
    if made.get_if_exists and not made.name:
        raise UsageError('get_if_exists=True: it needs the name of the actor to get, for example name="cache"')
    return call_options.build({"num_cpus": 0, **creation}), made


def build_method(options: Mapping[str, Any], max_task_retries: int = 0) -> CallOptions:
    """The options of a method's calls; equal options give the same object. `max_task_retries` are the actor's."""
    for name in options:
        if name not in METHOD_NAMES:
            _refuse_unknown(name, METHOD_NAMES, "a method")
    given: Options = {name: value for name, value in options.items() if value is not None}
    given["max_retries"] = _count(given, "max_task_retries") if "max_task_retries" in given else max_task_retries
    given.pop("max_task_retries", None)
    return call_options.build({"num_cpus": 0, **given})


def of_kind(made: ActorOptions, class_name: str, description: bytes, *, is_async: bool) -> ActorOptions:
    """The options with what the class adds: how many calls are under way at a time, and where."""
    most = made.max_concurrency or (1000 if is_async else 1)
    kind = "async" if is_async else "threads" if most > 1 else "sync"
    return msgspec.structs.replace(
        made, class_name=class_name, description=description, concurrency=kind, max_concurrency=most
    )  # fmt: skip


def _refuse_unknown(name: str, known: Iterable[str], what: str) -> NoReturn:
    if name in _NOT_HERE:
        raise NotSupportedHere(f"{name}= is no option of {what}: {_NOT_HERE[name]}")
    shown = [each for each in known if not each.startswith("_")]
    near = difflib.get_close_matches(name, shown, 1)
    hint = f"did you mean {near[0]}=?" if near else f"the options are {', '.join(shown)}"
    raise UsageError(f"{what} has no option {name}=: {hint}")


def _text(given: Options, option: str) -> str:
    value = given.get(option, "")
    if not isinstance(value, str) or (option in given and not value) or "\n" in value:
        raise WrongType(f'{option}={value!r}: expected a line of text, for example {option}="cache"')
    return value


def _flag(given: Options, option: str) -> bool:
    value = given.get(option, False)
    if not isinstance(value, bool):
        raise WrongType(f"{option}={value!r}: expected True or False")
    return value


def _detached(lifetime: Any) -> bool:
    if lifetime not in (None, "detached", "non_detached"):
        raise UsageError(
            f'lifetime={lifetime!r}: expected "detached", for an actor that lives until it is killed, or nothing, for one that '
            "lives as long as somebody has a handle of it"
        )
    return bool(lifetime == "detached")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(given: Options, option: str) -> int:
    value = given.get(option, 0)
    if not _is_whole(value) or value < -1:
        raise UsageError(f"{option}={value!r}: expected a whole number >= 0, or -1 for no limit")
    return int(value)


def _positive(value: Any, option: str) -> int:
    """0 where it is not given."""
    if value is None:
        return 0
    if not _is_whole(value) or value < 1:
        raise UsageError(f"{option}={value!r}: expected a whole number >= 1, for example {option}=4")
    return int(value)


def _pending(value: Any) -> int:
    return -1 if value in (None, -1, 0) and not isinstance(value, bool) else _positive(value, "max_pending_calls")
