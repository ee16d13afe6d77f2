"""When it pays the scheduler process to stay awake."""

from __future__ import annotations

from nbray.engine.wakefulness import MOST_SKIPPED, Wakefulness


def tried(wakefulness: Wakefulness, times: int, *, pays: bool) -> int:
    """How often it stays awake, in so many times."""
    count = 0
    for _ in range(times):
        if wakefulness.is_worth_it():
            count += 1
            wakefulness.paid() if pays else wakefulness.in_vain()
    return count


def test_it_stays_awake_while_that_pays() -> None:
    assert tried(Wakefulness(), 100, pays=True) == 100


def test_it_stays_awake_ever_more_seldom_where_it_is_in_vain() -> None:
    wakefulness = Wakefulness()
    assert tried(wakefulness, 11, pays=False) == 4  # the 1st, 3rd, 6th and 11th time
    tried(wakefulness, 1000, pays=False)
    assert tried(wakefulness, 10 * (MOST_SKIPPED + 1), pays=False) == 10


def test_once_it_pays_again_it_stays_awake_as_before() -> None:
    wakefulness = Wakefulness()
    tried(wakefulness, 1000, pays=False)
    while not wakefulness.is_worth_it():
        pass
    wakefulness.paid()
    assert tried(wakefulness, 100, pays=True) == 100


def test_the_end_of_a_conversation_costs_one_skip() -> None:
    wakefulness = Wakefulness()
    tried(wakefulness, 100, pays=True)
    assert tried(wakefulness, 1, pays=False) == 1
    assert tried(wakefulness, 101, pays=True) == 100
