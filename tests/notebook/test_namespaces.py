"""Namespaces as the notebook keeps them: names that cannot be, what a death costs, how they are found again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

import nbray
from nbray import session
from nbray.errors import ActorDied, InfeasibleRequest, NotSupportedHere, UsageError
from nbray.notebook import namespaces
from nbray.notebook.cells import CellOptions, read_cell
from nbray.notebook.namespaces import NAMES_TOLD, OpenNamespace, lost_text
from tests.contract.conftest import map_the_store, until
from tests.fakes import fresh_session


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "gpu0\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a namespace: expected letters"):
        namespaces.check_name(name)


@pytest.mark.parametrize("name", ["gpu0", "a.b-c", "_x", "größe"])
def test_names(name: str) -> None:
    namespaces.check_name(name)


def test_not_too_many_lost_names_are_told() -> None:
    assert lost_text([]) == "It had no names yet."
    text = lost_text(f"x{number:03}" for number in range(NAMES_TOLD + 3))
    assert text.endswith("x019 and 3 more.")


def test_the_serial_backend_runs_nothing_elsewhere() -> None:
    with fresh_session():
        nbray.init("serial")
        with pytest.raises(NotSupportedHere, match="without %%remote"):
            namespaces.open_namespace("a", {})


# -------------------------------------------------------------------- on a cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with fresh_session():
        nbray.init(num_workers=2, preload=["numpy", "nbray.notebook.namespace"])
        map_the_store(session.current_backend())
        yield
        namespaces._open.clear()


def send(shell: InteractiveShell, where: OpenNamespace, source: str, *wanted: str) -> dict[str, object]:
    own = frozenset(each.name for each in where.contents().names)
    cell = read_cell(shell, "", source, CellOptions(None, wanted or None, kept=own))
    return dict(where.submit(cell, "cell").outcome().values)


@pytest.mark.local
def test_a_namespace_is_found_again_by_who_does_not_know_it(cluster: None, shell: InteractiveShell) -> None:
    where = namespaces.open_namespace("found", {})
    send(shell, where, "x = 1")
    namespaces._open.clear()  # as in a kernel that has started again
    again = namespaces.existing("found")
    assert send(shell, again, "y = x + 1", "y") == {"y": 2}
    namespaces._open.clear()
    assert send(shell, namespaces.open_namespace("found", {}), "pass", "x", "y") == {"x": 1, "y": 2}
    again.end()


@pytest.mark.local
def test_names_of_its_own_are_not_taken_along(cluster: None, shell: InteractiveShell) -> None:
    where = namespaces.open_namespace("own", {})
    send(shell, where, "lock = 1")
    shell.user_ns["lock"] = threading.Lock()  # could not be sent
    assert send(shell, where, "y = lock", "y") == {"y": 1}
    assert where.known() == {"lock", "y"}
    where.end()


@pytest.mark.local
def test_a_death_says_what_is_lost_and_the_next_begins_empty(cluster: None, shell: InteractiveShell) -> None:
    where = namespaces.open_namespace("mortal", {})
    send(shell, where, "df = 1\nmodel = 2\nimport os\npid = os.getpid()")
    with pytest.raises(ActorDied) as caught:
        send(shell, where, "os._exit(3)")
    text = str(caught.value)
    assert "the namespace 'mortal' has died" in text
    assert "exit code 3" in text
    assert text.endswith("Lost: df, model, pid. The next %%remote --on mortal begins with an empty one.")
    assert "max_restarts" not in text
    assert text.startswith("the namespace 'mortal' has died: worker ")
    again = namespaces.open_namespace("mortal", {})
    assert again.contents().names == ()
    assert send(shell, again, "import os\npid = os.getpid()", "pid")["pid"] not in (os.getpid(), None)
    again.end()


@pytest.mark.local
def test_missing_names_are_refused_with_the_nearest(cluster: None, shell: InteractiveShell) -> None:
    where = namespaces.open_namespace("names", {})
    send(shell, where, "losses = [1]")
    with pytest.raises(UsageError, match=r"-o loses: the namespace 'names' has no such name\. Did you mean losses\?"):
        send(shell, where, "pass", "loses")
    with pytest.raises(UsageError, match=r"fetch q: the namespace 'names' has no such name\. It has losses\."):
        where.fetch(("losses", "q"))
    where.end()


@pytest.mark.local
def test_what_is_reserved_is_held_and_not_changed(cluster: None) -> None:
    where = namespaces.open_namespace("held", {"num_cpus": 1.0})
    where.contents()
    assert nbray.available_resources()["CPU"] == 1.0
    assert namespaces.open_namespace("held", {"num_cpus": 1.0}) is where
    with pytest.raises(UsageError, match=r"'held' holds num_cpus=1.0, not num_cpus=2.0: .* %remote drop held"):
        namespaces.open_namespace("held", {"num_cpus": 2.0})
    with pytest.raises(UsageError, match="'held' was made without memory"):
        namespaces.open_namespace("held", {"memory": "1MB"})
    where.end()
    assert until(lambda: nbray.available_resources()["CPU"] == 2.0)
    with pytest.raises(InfeasibleRequest):
        namespaces.open_namespace("never", {"num_cpus": 99.0})


@pytest.mark.local
def test_those_that_live_are_named(cluster: None, shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match=r"no namespace 'b': there is none\. A cell with %%remote --on b makes it"):
        namespaces.existing("b")
    where = namespaces.open_namespace("train", {})
    send(shell, where, "x = [1, 2]")
    assert namespaces.names() == ["train"]
    assert list(namespaces.listing([where])[0].values()) == ["train", "x", "list", "2 items"]
    with pytest.raises(UsageError, match="did you mean 'train'"):
        namespaces.existing("trian")
    where.end()
    assert until(lambda: namespaces.names() == [])


@pytest.mark.local
def test_a_new_cluster_says_what_the_old_one_took_along(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_session():
        nbray.init(num_workers=1, preload=["numpy", "nbray.notebook.namespace"])
        send(shell, namespaces.open_namespace("a", {}), "model = 1")
        nbray.shutdown()
        nbray.init(num_workers=1, preload=["numpy", "nbray.notebook.namespace"])
        assert namespaces.open_namespace("a", {}).contents().names == ()
        assert capsys.readouterr().err.endswith("nbray: the namespace 'a' has ended with its cluster. Lost: model.\n")
        nbray.shutdown()
    namespaces._open.clear()


@pytest.mark.local
def test_who_waits_for_an_earlier_cell_is_told_of_it(
    cluster: None, shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = namespaces.open_namespace("busy", {})
    send(shell, where, "df = 1")
    monkeypatch.setattr(namespaces, "SILENT_SECONDS", 0.1)
    running = where.submit(read_cell(shell, "", "import time\ntime.sleep(0.5)", CellOptions(kept=frozenset())), "cell")
    assert send(shell, where, "y = df", "y") == {"y": 1}
    told = capsys.readouterr().err
    assert told.startswith("nbray: waiting for an earlier cell in the namespace 'busy'.")
    assert told.endswith("%remote drop busy does, with all its names. It has df.\n")
    running.outcome()
    where.end()
