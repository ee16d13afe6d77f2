import pytest

from nbray.errors import InternalError
from nbray.ids import ObjectId
from nbray.scheduler.messages import Spilled, Stored
from nbray.scheduler.ownership import ObjectEntry
from nbray.scheduler.places import PLACE_MOVES, Place, PlaceState

NESTED = [ObjectId(9)]


def make_place() -> Place:
    return Place(ObjectEntry(ObjectId(5), 1, value=Stored(4096, 100, NESTED)), 4096, 100, "load")


def test_the_value_says_whether_it_can_be_read() -> None:
    place = make_place()
    for state in (PlaceState.LEAVING, PlaceState.WRITING, PlaceState.ON_DISK, PlaceState.RESTORING):
        place.move(state)
        assert place.entry.value == Spilled(100, NESTED)
    place.offset = 8192
    place.move(PlaceState.IN_MEMORY)
    assert place.entry.value == Stored(8192, 100, NESTED, restored=1)


def test_one_that_stays_is_not_taken_for_one_that_came_back() -> None:
    place = make_place()
    place.move(PlaceState.LEAVING)
    place.move(PlaceState.IN_MEMORY)
    assert place.entry.value == Stored(4096, 100, NESTED)


def test_a_move_that_is_not_in_the_table_names_the_object() -> None:
    with pytest.raises(InternalError, match="load 0x5, 100 bytes IN_MEMORY> cannot move to ON_DISK"):
        make_place().move(PlaceState.ON_DISK)


def test_every_state_can_be_reached_and_ends() -> None:
    reached = {new for moves in PLACE_MOVES.values() for new in moves}
    assert reached == set(PlaceState)
    assert [state for state, moves in PLACE_MOVES.items() if not moves] == [PlaceState.GONE]
