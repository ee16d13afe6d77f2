"""Ray's name for the module of loggers."""

from __future__ import annotations

from nbray.tune import logger, loggers


def test_it_has_the_loggers_that_write_files() -> None:
    assert {name: getattr(logger, name) for name in logger.__all__} == {name: getattr(loggers, name) for name in logger.__all__}
    assert "TBXLoggerCallback" in logger.__all__
