"""Somebody who only asks is answered, and leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest

import nbray
from nbray.engine import questions, run_directory
from nbray.engine.run_directory import ClusterFile
from nbray.errors import ClusterDied
from nbray.scheduler.messages import PROTOCOL
from tests.fakes import fresh_session


@pytest.mark.local
def test_a_question_from_outside() -> None:
    with fresh_session():
        nbray.init(num_workers=1)
        (directory, content), = run_directory.clusters()
        for _ in range(3):
            answer = questions.ask(directory, content, "snapshot")
            assert answer["epoch"] == nbray.nodes()[0]["NodeID"]
        assert questions.ask(directory, content, "tasks", 5, "RUNNING") == []
        turns = questions.ask(directory, content, "turns")
        assert 3 < sum(turns["clock"]) == sum(turns["cpu"])
        assert "nobody here can answer" in questions.ask(directory, content, "colour")["error"]
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1


def test_a_cluster_that_is_gone(tmp_path: Path) -> None:
    gone = ClusterFile("0123", "job", 1, 0.0, "here", PROTOCOL)
    with pytest.raises(ClusterDied, match="cluster 0123 cannot be asked"):
        questions.ask(tmp_path, gone, "snapshot")
