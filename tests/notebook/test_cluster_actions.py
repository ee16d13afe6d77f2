"""What `%nbray status|start|stop|scale|cancel|memory|stack|debug` do with and without a cluster."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from nbray.notebook import cluster_actions
from tests.fakes import fake_session, fresh_session


def test_without_a_cluster_each_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with fresh_session():
        cluster_actions.status()
        cluster_actions.stop()
        cluster_actions.cancel("", everything=True)
        cluster_actions.memory()
        cluster_actions.stack("")
        cluster_actions.debug(None, "")
    assert capsys.readouterr().out.count("no cluster runs") == 6


def test_the_status_of_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_session():
        cluster_actions.status()
    assert "2 workers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cell", "everything", "message"),
    [("", False, "name one cell"), ("4", True, "name one cell"), ("99", False, r"\[99\]"), ("x", False, r"\[x\]")],
)
def test_cancel_asks_for_one_cell_or_all(cell: str, everything: bool, message: str) -> None:
    with fake_session(), pytest.raises(UsageError, match=message):
        cluster_actions.cancel(cell, everything)


@pytest.mark.parametrize("count", ["", "-3", "many", "2.5"])
def test_scale_asks_for_a_number(count: str) -> None:
    with fake_session(), pytest.raises(UsageError, match="expected how many workers"):
        cluster_actions.scale(count)
