from nbray.scheduler.deadlines import Deadlines


def test_calls_are_made_in_order_of_time_then_of_request() -> None:
    deadlines, made = Deadlines(), list[str]()
    deadlines.after(2.0, lambda: made.append("c"))
    deadlines.after(1.0, lambda: made.append("a"))
    deadlines.after(1.0, lambda: made.append("b"))
    assert deadlines.next() == 1.0
    deadlines.now = 1.0
    deadlines.run_due()
    assert made == ["a", "b"]
    deadlines.now = 5.0
    deadlines.run_due()
    assert made == ["a", "b", "c"]
    assert deadlines.next() is None


def test_a_call_may_ask_for_another_one() -> None:
    deadlines, made = Deadlines(), list[float]()

    def again() -> None:
        made.append(deadlines.now)
        if len(made) < 3:
            deadlines.after(0.0, again)

    deadlines.after(1.0, again)
    deadlines.now = 1.0
    deadlines.run_due()
    assert made == [1.0, 1.0, 1.0]
