import msgspec
import pytest

from nbray.scheduler import messages
from tests.scheduler.pretend import Cluster


@pytest.mark.parametrize("question", [
    "snapshot", "cell_runs", "gangs", "gang", "tasks", "objects", "started", "renew", "actor", "actor_state", "actors",
    "namespace",
])  # fmt: skip
def test_every_question_has_its_answer(question: str) -> None:
    driver = Cluster().driver()
    driver.say(messages.Ask(7, question, 10))
    (answer,) = driver.heard(messages.Answer)
    assert answer.request_id == 7
    body = msgspec.msgpack.decode(answer.body)
    assert not (isinstance(body, dict) and "nobody here" in body.get("error", ""))


def test_what_nobody_knows_is_answered_with_what_is_known() -> None:
    driver = Cluster().driver()
    driver.say(messages.Ask(7, "weather"))
    error = msgspec.msgpack.decode(driver.heard(messages.Answer)[-1].body)["error"]
    assert "'weather'" in error
    assert "actor_state, actors, cell_runs" in error
