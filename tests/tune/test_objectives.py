from __future__ import annotations

from typing import Any

import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.objectives import Objective, agree


def test_what_is_open_is_taken_from_the_other() -> None:
    assert agree("X", Objective("loss", None), Objective(None, "min")) == Objective("loss", "min")
    assert agree("X", Objective(None, None), Objective("loss", "min")) == Objective("loss", "min")
    assert agree("X", Objective(None, None), Objective(None, None)) == Objective(None, None)
    assert agree("X", Objective("loss", "min"), Objective("loss", "min")) == Objective("loss", "min")


@pytest.mark.parametrize(("own", "message"), [
    (Objective("acc", "min"), "ASHA has metric='acc' and the experiment .* has metric='loss'.*leave it out of ASHA"),
    (Objective("loss", "max"), "ASHA has mode='max' and the experiment .* has mode='min'"),
])  # fmt: skip
def test_two_that_differ_are_an_error(own: Objective, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        agree("ASHA", own, Objective("loss", "min"))


@pytest.mark.parametrize("mode", ["maximize", "", 1, ["max"]])
def test_a_bad_mode_is_quoted_with_the_good_ones(mode: Any) -> None:
    with pytest.raises(UsageError, match=r'ASHA got mode=.*"max" .* or "min" '):
        agree("ASHA", Objective("loss", mode), Objective(None, None))
    with pytest.raises(UsageError, match="TuneConfig got mode="):
        agree("ASHA", Objective("loss", None), Objective(None, mode))


def test_a_metric_is_one_name() -> None:
    several: Any = ["loss", "acc"]
    with pytest.raises(WrongType, match=r"ASHA got metric=\['loss', 'acc'\]. It is the name of one value"):
        agree("ASHA", Objective(several, None), Objective(None, None))
