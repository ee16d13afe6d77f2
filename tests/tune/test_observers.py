from __future__ import annotations

from typing import Any

from nbray.tune import observers


class Watcher:
    def show(self, view: Any) -> None: ...

    def close(self, view: Any, why: str) -> None: ...


def test_each_factory_is_asked_and_may_decline() -> None:
    seen: list[Any] = []
    watcher, run = Watcher(), object()

    def willing(run: Any) -> Watcher:
        seen.append(run)
        return watcher

    leave = [observers.register(willing), observers.register(lambda run: None)]
    try:
        assert observers.observe(run) == [watcher]  # type: ignore[arg-type]
    finally:
        for each in leave:
            each()
    assert seen == [run]


def test_an_experiment_is_announced_before_it_is_there() -> None:
    heard: list[str] = []
    leave = observers.register(lambda run: None, lambda: heard.append("announced"))
    try:
        observers.announce()
    finally:
        leave()
    observers.announce()
    assert heard == ["announced"]


def test_who_has_left_is_not_asked() -> None:
    leave = observers.register(lambda run: Watcher())
    leave()
    leave()
    assert observers.observe(object()) == []  # type: ignore[arg-type]
