from __future__ import annotations

from nbray.tune.events import Action, Answer, CloseReason, Closing, Moved, Start
from nbray.tune.recorded import Recorded
from tests.tune.stage import CONTINUE, STOP

ACTIONS: list[Action] = [
    Answer("00000", "STOP", "by ASHA"), Moved("00001", "TERMINATED", "given up"), Moved("00002", "PAUSED"),
    Start("00003", 1, {"x": 1}), Start("00001", 2, {"x": (2,)}), Closing(CloseReason.DONE),
]  # fmt: skip


def test_what_was_done_is_found() -> None:
    recorded = Recorded(ACTIONS)
    starts = [recorded.next_start() for _ in range(3)]
    assert [start and start.trial_id for start in starts] == ["00003", "00001", None]
    assert list(recorded.ended) == ["00001"]
    assert recorded.closing == Closing(CloseReason.DONE)
    assert recorded.answer("00000", STOP, 3) == (STOP, "by ASHA")
    assert recorded.answer("00009", CONTINUE, 3) == (CONTINUE, "")
    assert recorded.may_end("00001")
    assert recorded.compare(Start("00001", 2, {"x": (2,)}), Start("00001", 2, {"x": (2,)}))
    assert recorded.differences == []


def test_what_differs_is_said() -> None:
    recorded = Recorded(ACTIONS)
    assert recorded.answer("00000", CONTINUE, 3) == (STOP, "by ASHA")
    assert not recorded.may_end("00002")
    assert not recorded.compare(Start("00001", 2, {"x": 5}), Start("00001", 2, {"x": 4}))
    recorded.note_turn("00004", None)
    recorded.note_turn(None, "00005")
    assert recorded.differences == [
        "trial 00000, report 3: STOP then, CONTINUE now",
        "trial 00002 would be given up now, and was not then",
        "trial 00001, run 2: {'x': 4} then, {'x': 5} now",
        "started: no trial then, trial 00004 now",
        "started: trial 00005 then, no trial now",
    ]
