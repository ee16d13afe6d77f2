"""Tasks of the serial backend: attempts, output, coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import nbray
from nbray import session
from nbray.backends.backend import OutputEvent
from nbray.backends.serial_tasks import Coroutines
from tests.fakes import fresh_session


@pytest.fixture(autouse=True)
def serial() -> Iterator[None]:
    with fresh_session():
        nbray.init("serial")
        yield


def test_output_goes_straight_out_unless_somebody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    say = nbray.remote(lambda: print("hello"))
    say.remote()
    assert capsys.readouterr().out == "hello\n"
    heard: list[OutputEvent] = []
    session.current_backend().on_output(heard.append)
    say.options(name="speaker").remote()
    assert capsys.readouterr().out == ""
    assert b"".join(each.data for each in heard) == b"hello\n"
    assert {each.task for each in heard} == {"speaker"}


def test_a_function_is_loaded_once() -> None:
    calls: list[int] = []

    def count() -> int:
        calls.append(1)
        return len(calls)

    remote = nbray.remote(count)
    assert nbray.get([remote.remote(), remote.remote()]) == [1, 2]
    assert calls == []


def test_each_attempt_is_recorded() -> None:
    tried: list[int] = []

    @nbray.remote(retry_exceptions=True, max_retries=2)
    def flaky() -> int:
        tried.append(1)
        if len(tried) < 3:
            raise OSError("not yet")
        return nbray.get_runtime_context().attempt

    assert nbray.get(flaky.remote()) == 3
    assert [(row.attempt_number, row.state) for row in nbray.list_tasks(name="flaky")] == [
        (2, "FINISHED"), (1, "FAILED"), (0, "FAILED")
    ]  # fmt: skip


def test_coroutines_share_a_loop_and_nest() -> None:
    coroutines = Coroutines()

    async def loop() -> Any:
        return asyncio.get_running_loop()

    async def outer() -> Any:
        return coroutines.run(loop())

    async def fails() -> None:
        raise LookupError

    assert coroutines.run(loop()) is coroutines.run(loop())
    assert coroutines.run(outer()) is not coroutines.run(loop())
    assert asyncio.run(outer()) is coroutines.run(loop())
    with pytest.raises(LookupError):
        coroutines.run(fails())
    coroutines.close()
