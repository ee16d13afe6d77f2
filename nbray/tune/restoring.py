"""What may be given anew when an experiment is taken up again from its directory, and what must be the same."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import replace
from types import CodeType
from typing import Any

from nbray.errors import UsageError
from nbray.tune.plan import Plan
from nbray.tune.registry import resolve
from nbray.tune.trainables import inner_of, name_of


def with_trainable(plan: Plan, trainable: Any) -> Plan:
    """The plan with the function that the user gives; one with other code is taken, and that is said in a warning.

    Raises UsageError for one of another name, which is clearly not what the experiment was about.
    """
    resolved = resolve(trainable)
    name = trainable if isinstance(trainable, str) else name_of(resolved)
    if name != plan.trainable_name:
        raise UsageError(
            f"{plan.path} is an experiment with {plan.trainable_name!r}, not with {name!r}: restore it with that function; for a "
            "new experiment write tune.Tuner(...)"
        )
    fingerprint = fingerprint_of(resolved)
    if fingerprint != plan.fingerprint:
        warnings.warn(
            f"{name} has been changed since the experiment in {plan.path} began: its trials go on with the new code",
            stacklevel=3,
        )
    return replace(plan, trainable=resolved, fingerprint=fingerprint)


def with_space(plan: Plan, space: Mapping[str, Any]) -> Plan:
    """The plan with the space that the user gives. Raises UsageError for one with other names."""
    if set(space) != set(plan.param_space):
        raise UsageError(
            f"param_space has the names {sorted(space)}, and the experiment in {plan.path} was about {sorted(plan.param_space)}: "
            "give a space with the same names, or leave it out"
        )
    return replace(plan, param_space=dict(space))


def fingerprint_of(trainable: Any) -> str:
    """What tells two versions of a function or class apart; empty where nothing does.

    >>> fingerprint_of(lambda config: 1) == fingerprint_of(lambda config: 1) != fingerprint_of(lambda config: 2)
    True
    """
    inner = inner_of(trainable)
    members = vars(inner).values() if isinstance(inner, type) else [inner]
    codes = [code for member in members if (code := getattr(member, "__code__", None)) is not None]
    if not codes:
        return ""
    digest = hashlib.sha256()
    for code in codes:
        _feed(digest, code)
    return digest.hexdigest()[:16]


def _feed(digest: Any, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed(digest, constant)
        else:
            digest.update(repr(constant).encode())
