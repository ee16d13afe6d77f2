from nbray.ids import ObjectId, ProcessId
from nbray.scheduler import messages
from nbray.scheduler.actions import Send
from nbray.scheduler.processes import READY_VALUES, Outbox, Process


def test_values_of_one_event_leave_in_one_message_after_everything_else() -> None:
    outbox, process = Outbox(), Process(ProcessId(1), None, None)
    outbox.push(process, ObjectId(1), b"a")
    outbox.send(ProcessId(1), messages.Exit("bye"))
    outbox.push(process, ObjectId(2), b"b")
    exit_, ready = outbox.take()
    assert exit_ == Send(ProcessId(1), messages.Exit("bye"))
    assert ready == Send(ProcessId(1), messages.Ready([(ObjectId(1), b"a"), (ObjectId(2), b"b")]))
    assert outbox.take() == []


def test_very_many_values_leave_in_portions() -> None:
    outbox, process = Outbox(), Process(ProcessId(1), None, None)
    for number in range(READY_VALUES + 1):
        outbox.push(process, ObjectId(number), b"")
    assert len(outbox.take()) == 2
