import pytest

from nbray.scheduler.pool import Pool
from tests.scheduler.rules import live

EXAMPLES, STEPS = 300, 50


@pytest.mark.timeout(600)
def test_no_history_breaks_a_rule() -> None:
    live(EXAMPLES, STEPS, derandomize=True)


@pytest.mark.timeout(600)
def test_a_planted_bug_is_found_and_what_led_to_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "release", lambda pool, worker: None)
    with pytest.raises(AssertionError) as caught:
        live(100, STEPS, derandomize=True, shorten=False)
    assert "state.begin(seed=" in "\n".join(caught.value.__notes__)
