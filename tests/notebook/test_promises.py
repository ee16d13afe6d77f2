"""What is written down on the cluster about a cell."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from nbray.ids import CellRunId, ObjectId
from nbray.notebook import promises
from nbray.notebook.promises import Promise
from nbray.objects import ObjectRef
from tests.fakes import FakeBackend


class Notes(FakeBackend):
    """Keeps the notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[str, bytes]] = []

    def note(self, cell_run: CellRunId, note: bytes) -> None:
        self.notes.append((cell_run, note))


def test_a_promise_comes_back_as_it_was_given() -> None:
    backend = Notes()
    promise = Promise(kind="items", ids=[ObjectId(2**63), ObjectId(5)], wanted=("x", "y"), required=True, namespace="gpu0")
    promises.give(backend, CellRunId("c"), promise)
    [(cell_run, note)] = backend.notes
    assert cell_run == "c"
    assert promises.decode(note) == promise


@pytest.mark.parametrize("note", [b"", b"[]", b'{"kind":"other","ids":[]}', b'{"kind":"cell"}', b"\xff"])
def test_notes_of_others_are_no_promises(note: bytes) -> None:
    assert promises.decode(note) is None


def test_what_an_interrupted_cell_waited_for_lives_until_the_next_one() -> None:
    ref: Any = ObjectRef(ObjectId(1), "none")
    gone = weakref.ref(ref)
    promises.keep([ref])
    del ref
    gc.collect()
    assert gone() is not None
    promises.give(Notes(), CellRunId("c"), Promise(kind="cell", ids=[]))
    gc.collect()
    assert gone() is None
