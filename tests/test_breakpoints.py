"""Whose frames a debugger in a task stops in; the debugger itself is tried in tests/notebook/test_kernel_prompts.py."""

from __future__ import annotations

import functools
import json
import linecache
import sys
from types import FrameType
from typing import Any

import nbray
from nbray import breakpoints


def frame_here() -> FrameType:
    return sys._getframe().f_back or sys._getframe()


class Seen:
    """Notes the frame in which it is asked for its value as JSON."""

    frame: FrameType


def in_library(_: Any) -> str:
    frame = sys._getframe().f_back
    assert frame is not None
    Seen.frame = frame
    return ""


def frames_of(filename: str, source: str, **names: Any) -> FrameType:
    exec(compile(source, filename, "exec"), {"note": in_library} | names)
    return Seen.frame


def test_the_users_own_code_is_his() -> None:
    assert breakpoints.is_users(frame_here())


def test_a_library_that_he_calls_is_his_too() -> None:
    json.dumps(object(), default=in_library)
    assert "json" in Seen.frame.f_code.co_filename
    assert breakpoints.is_users(Seen.frame)


def test_what_runs_the_task_is_not() -> None:
    inside = frames_of(nbray.__file__, "note(1)")
    assert not breakpoints.is_users(inside)


def test_a_library_that_this_calls_is_not() -> None:
    call = functools.partial(json.dumps, object(), default=in_library)
    exec(compile("call()", nbray.__file__, "exec"), {"call": call})
    assert "json" in Seen.frame.f_code.co_filename
    assert not breakpoints.is_users(Seen.frame)


def test_a_statement_of_a_cell_is_whole_and_may_be_followed() -> None:
    source = "a = 1\nnote(a)\nb = 2\n"
    linecache.cache["cell-7"] = len(source), None, source.splitlines(keepends=True), "cell-7"
    try:
        run = functools.partial(frames_of, "cell-7")
        for statement, followed in (("\nnote(1)", True), ("\n\nnote(2)", False)):
            exec(compile("run(statement)", nbray.__file__, "exec"), {"run": run, "statement": statement})
            assert breakpoints._is_followed(Seen.frame) is followed
    finally:
        del linecache.cache["cell-7"]
    assert not breakpoints._is_whole_statement(frame_here()), "a function is none"
