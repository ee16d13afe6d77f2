import pytest

from nbray.ids import CellRunId, TaskId
from nbray.scheduler.messages import Emitted
from nbray.scheduler.output_record import MOST_BYTES, OutputRecord


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
