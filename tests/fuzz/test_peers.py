"""A process that says nonsense loses its connection at most; what fuzzing has found stands here by itself, too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbray.ids import CellRunId, ObjectId, TemplateId, object_id
from nbray.scheduler.messages import (
    Allocate,
    Ask,
    Cancel,
    Consumed,
    CreateGang,
    Fetch,
    Held,
    Put,
    RegisterFunction,
    RegisterTemplate,
    Released,
    Spilled,
    Stored,
    Submit,
    TaskSpec,
    Template,
)
from tests.fuzz.peers import DRIVER, WORKERS, Town, chatter

OBJECT = object_id(DRIVER, 1)
TEMPLATE = TemplateId(DRIVER << 32 | 1)


def template(**changes: Any) -> RegisterTemplate:
    settings: dict[str, Any] = {"resources": {"CPU": 10_000}, "num_returns": 1, **changes}
    return RegisterTemplate(Template(TEMPLATE, b"key", "f", CellRunId("run-1"), **settings))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
@given(st.binary(max_size=3000))
def test_no_conversation_breaks_the_scheduler(data: bytes) -> None:
    chatter(data)


@pytest.mark.parametrize(
    "message",
    [
        Allocate(1, 0), Allocate(1, -4096), Allocate(1, 1 << 60),
        template(num_returns=10**9), template(num_returns=-3), template(resources={"CPU": -1}), template(timeout=-1.0),
        template(timeout=float("nan")), template(window=-2), template(bundle=-7), template(max_retries=-2),
        Ask(1, "tasks", -1), Consumed(OBJECT, -2), Put(OBJECT, Stored(-4096, 4096)), Put(OBJECT, Stored(0, -1)),
        CreateGang(OBJECT, [{"CPU": -10_000}], b""),
    ],
    ids=repr,
)  # fmt: skip
def test_numbers_out_of_bounds_are_no_message(message: Any) -> None:
    assert not Town().say(DRIVER, message)


class TestContradictions:
    def test_a_gang_that_exists_is_created_once(self) -> None:
        town = Town()
        assert town.say(DRIVER, CreateGang(OBJECT, [{"CPU": 10_000}], b""))
        assert not town.say(WORKERS[0], CreateGang(OBJECT, [{"CPU": 10_000}], b""))
        town.leave()

    @pytest.mark.parametrize("argument", [3, 2**62])
    def test_to_take_over_what_is_not_offered_is_refused(self, argument: int) -> None:
        assert not Town().say(DRIVER, Ask(1, "take_over", argument, "run-1"))

    @pytest.mark.parametrize("text", ["{", "[]", '{"text": 1}', '{"text": ' + "[" * 100_000])
    def test_a_reply_that_is_none_is_refused(self, text: str) -> None:
        town = Town()
        assert town.say(DRIVER, RegisterFunction(b"key", "f", b"blob"))
        assert town.say(DRIVER, template())
        assert town.say(DRIVER, Submit([TaskSpec(OBJECT, TEMPLATE, b"")]))
        (busy,) = (one.slot for one in town.scheduler.snapshot(town.now).workers if one.task)
        assert town.say(WORKERS[busy], Ask(1, "prompt", OBJECT, "{}"))
        assert not town.say(DRIVER, Ask(2, "reply", OBJECT, text))


def test_only_the_scheduler_says_what_is_on_disk() -> None:
    town = Town()
    assert town.say(DRIVER, Put(OBJECT, Spilled(10, [])))
    assert town.say(DRIVER, Fetch(1, OBJECT))
    assert town.say(DRIVER, Released([OBJECT]))


def test_a_resource_that_nobody_has_and_nobody_wants_can_be_named() -> None:
    assert Town().say(DRIVER, template(resources={"none": 0, "CPU": 10_000}))


def test_what_does_not_exist_can_be_held_released_and_cancelled() -> None:
    town = Town()
    for message in (Held([ObjectId(-1)]), Released([ObjectId(2**62)]), Cancel(1, [ObjectId(7)], [CellRunId("x")])):
        assert town.say(DRIVER, message)
