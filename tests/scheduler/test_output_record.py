import pytest

from nbray.ids import CellRunId, TaskId
from nbray.scheduler.messages import Emitted
from nbray.scheduler.output_record import MOST_BYTES, MOST_PLOTS, OVERHEAD, OutputRecord


def piece(data: bytes, stream: str = "stdout", task: int = 1) -> Emitted:
    return Emitted(TaskId(task), CellRunId("c"), "f", "worker 0", stream, data)


def texts(record: OutputRecord, since: float = 0.0) -> list[bytes]:
    return [emitted.data for emitted in record.since(since)]


def test_pieces_come_back_in_order_from_a_time_on() -> None:
    record = OutputRecord()
    for when in range(4):
        record.add(piece(b"%d\n" % when), when)
    assert texts(record) == [b"0\n", b"1\n", b"2\n", b"3\n"]
    assert texts(record, 2.0) == [b"2\n", b"3\n"]


def test_what_comes_from_a_time_on_begins_with_a_whole_line() -> None:
    record = OutputRecord()
    for when, data in enumerate([b"step", b" 1\n", b"step ", b"2", b"\n"]):
        record.add(piece(data), when)
    assert texts(record, 3.0) == [b"step ", b"2", b"\n"]
    assert texts(record, 1.0) == [b"step", b" 1\n", b"step ", b"2", b"\n"]
    assert texts(record, 2.0) == [b"step ", b"2", b"\n"]
    assert texts(record, 9.0) == []


def test_the_oldest_make_room_and_are_counted() -> None:
    record = OutputRecord()
    for number in range(5):
        record.add(piece(b"%d" % number * (MOST_BYTES // 4)), 0.0)
    assert [each[:1] for each in texts(record)] == [b"2", b"3", b"4"]
    assert record.cut == 2 * (MOST_BYTES // 4)
    assert record.size <= MOST_BYTES


def test_what_is_larger_than_all_room_is_only_counted() -> None:
    record = OutputRecord()
    record.add(piece(b"x" * (MOST_BYTES + 1), "display_data"), 0.0)
    assert (len(record), record.size, record.cut) == (0, 0, MOST_BYTES + 1)


def test_only_the_last_state_of_a_bar_and_of_a_display_is_kept() -> None:
    record = OutputRecord()
    for n in range(100):
        record.add(piece(b'{"bar":1,"n":%d}' % n, "progress"), 0.0)
        record.add(piece(b'{"bar":2,"n":%d}' % n, "progress"), 0.0)
        record.add(piece(b'{"data":{"n":%d},"transient":{"display_id":"a"}}' % n, "update_display_data"), 0.0)
    record.add(piece(b'{"bar":1,"n":5}', "progress", task=2), 0.0)
    assert texts(record) == [
        b'{"bar":1,"n":99}', b'{"bar":2,"n":99}', b'{"data":{"n":99},"transient":{"display_id":"a"}}', b'{"bar":1,"n":5}',
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"[", b"[1]", b'{"transient":3}', b'{"transient":{}}', b"\xff"])
@pytest.mark.parametrize("stream", ["progress", "update_display_data"])
def test_what_is_not_well_formed_is_kept_as_it_is(data: bytes, stream: str) -> None:
    record = OutputRecord()
    record.add(piece(data, stream), 0.0)
    record.add(piece(data, stream), 0.0)
    assert texts(record) == [data, data]


def test_what_was_cleared_is_not_shown_again() -> None:
    record = OutputRecord()
    record.add(piece(b"before"), 0.0)
    record.add(piece(b'{"wait":true}', "clear_output"), 0.0)
    record.add(piece(b"after"), 0.0)
    assert texts(record) == [b"after"]
    assert record.cut == 0


def test_given_up_output_counts_as_cut() -> None:
    record = OutputRecord()
    record.add(piece(b"12345"), 0.0)
    record.give_up()
    assert (texts(record), record.size, record.cut) == ([], 0, 5)


def points(items: int, *, plot: int = 1, whole: bool = False, closed: bool = False) -> Emitted:
    flags = f'"whole":{str(whole).lower()},"closed":{str(closed).lower()}'
    return piece(f'{{"plot":{plot},"items":{items},{flags}}}'.encode(), "points")


def test_a_plot_that_goes_on_is_told_from_its_beginning() -> None:
    record = OutputRecord()
    record.add(piece(b"text\n"), 0.0)
    ended = points(9, plot=2, closed=True)
    record.add(ended, 0.0)
    for when in range(4):
        record.add(points(when), when)
    shown = [emitted.data for emitted in record.since(3.0)]
    assert shown == [points(items).data for items in range(4)]
    record.add(points(3, closed=True), 3.5)
    assert [emitted.data for emitted in record.since(3.0)] == [*shown, points(3, closed=True).data]
    assert list(record.since(4.0)) == []
    assert ended in list(record.since(0.0))


def test_what_a_plot_tells_as_a_whole_takes_the_place_of_what_came_before() -> None:
    record = OutputRecord()
    for items in range(1000):
        record.add(points(items, whole=items % 64 == 63), 0.0)
    assert len(record) == 1000 - 15 * 64 + 1
    assert b'"whole":true' in next(iter(record.since(0.0))).data
    record.add(piece(b"no points", "points"), 0.0)
    assert record.size == sum(len(emitted.data) + OVERHEAD for emitted in record.since(0.0))


def test_many_plots_are_not_remembered_for_ever() -> None:
    record = OutputRecord()
    for plot in range(3 * MOST_PLOTS):
        record.add(points(1, plot=plot), 0.0)
    assert len(record._plots) == MOST_PLOTS
