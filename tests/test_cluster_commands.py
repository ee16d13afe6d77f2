"""`nbray stack` and `nbray memory`, from outside a running cluster."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import nbray
from nbray import cli
from tests.contract.conftest import until
from tests.fakes import fresh_session


def linger_in_here(started: Path) -> None:
    started.touch()
    time.sleep(60)


@pytest.mark.local
def test_stacks_and_objects_of_running_clusters(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with fresh_session():
        nbray.init(num_workers=1)
        epoch = nbray.nodes()[0]["NodeID"]
        kept = nbray.put(bytes(3_000_000))
        running = nbray.apply_async(linger_in_here, (tmp_path / "started",), name="slow")
        assert until((tmp_path / "started").exists)
        assert cli.main(["stack"]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"cluster {epoch}")
        assert "runs slow" in text
        assert "in linger_in_here\n    time.sleep(60)" in text
        assert cli.main(["memory", epoch, "-n", "1"]) == 0
        text = capsys.readouterr().out
        assert kept.hex() in text
        assert "3 MB" in text
        assert cli.main(["memory", "abcd"]) == 2
        assert f"no cluster abcd of yours runs on this machine; running are: {epoch}" in capsys.readouterr().err
        nbray.cancel(running, force=True)


def test_without_a_cluster_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stack"]) == 2
    assert "no cluster of yours runs on this machine" in capsys.readouterr().err
