"""A cluster that cannot start says why and leaves nothing; one that does not end is made to."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from nbray.engine import cluster, run_directory, transport
from nbray.errors import StartFailed
from tests.engine.local_cluster import config, is_gone

pytestmark = pytest.mark.local


def interpreter(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in Python's stead."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.parametrize("script", ["echo it cannot be >&2; exit 3", "cat > /dev/null; echo it cannot be >&2; exit 3"])
def test_last_words_of_a_process_that_ends_at_once(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter(tmp_path, script, monkeypatch)
    with pytest.raises(StartFailed, match=r"ended before it was ready(.|\n)*it cannot be"):
        cluster.start(config(), "job")
    assert list(run_directory.parent().glob("nbray-*")) == []


def test_a_process_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(cluster, "START_SECONDS", 0.1)
    with pytest.raises(StartFailed, match=r"said nothing for 0\.1 s"):
        cluster.start(config(), "job")


def test_an_interrupt_while_it_starts_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(transport, "wait_readable", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cluster.start(config(), "job")


def test_the_record_names_the_zygote() -> None:
    settings = config()
    process = cluster.start(settings, "the job")
    content = run_directory.read(Path(settings.run_directory))
    assert content is not None
    assert (content.epoch, content.job, content.zygote_pid) == (settings.epoch, "the job", process.pid)
    assert run_directory.alive(content)
    assert [directory for directory, _ in run_directory.clusters()] == [Path(settings.run_directory)]
    process.wait(0)
    assert is_gone(content.zygote_pid)
    assert "asked to end" in process.last_words
    assert not Path(settings.run_directory).exists()


def test_a_zygote_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "END_SECONDS", 0.05)
    process = cluster.start(config(), "job")
    os.kill(process.pid, signal.SIGSTOP)
    started = time.monotonic()
    process.wait(0.05)
    assert time.monotonic() - started < 2
    assert is_gone(process.pid)


def test_joining_where_nobody_listens() -> None:
    with pytest.raises(StartFailed, match="no scheduler listens in '/nowhere'"):
        cluster.connect(Path("/nowhere"), "epoch", "job", 0)


def test_joining_with_another_epoch_is_refused() -> None:
    settings = config()
    process = cluster.start(settings, "job")
    with pytest.raises(StartFailed):
        cluster.connect(Path(settings.run_directory), "another epoch", "job", 0)
    process.wait(0)
