"""What users and their systems say in text: lines of magics, names of notebooks, variables of the environment."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from IPython.core.error import UsageError as LineError

from nbray import result_cache, runtime_env
from nbray.engine import run_directory, spill_directory
from nbray.errors import StartFailed, UsageError
from nbray.notebook import job, loops, option_pairs
from nbray.notebook.command_lines import parse
from nbray.notebook.magics import NbrayMagics
from nbray.notebook.parallel_magics import ParallelMagics
from nbray.notebook.remote_magics import RemoteMagics
from tests.fuzz.choices import Choices
from tests.fuzz.targets import Run, Target, plain

MAGICS: list[Any] = [NbrayMagics.remote, NbrayMagics.nbray, ParallelMagics.parallel, RemoteMagics.remote]
OPTIONS = sorted({option for magic in MAGICS for action in magic.parser._actions for option in action.option_strings})
WORDS = (
    "1", "-1", "1e999", "nan", "x", "A=1", "=", "--", "-", "'", '"', "\\", "$x", "{x}", "%", "é", "\0", "\x1f", "for", "in", "(",
    "[0",    "for x in xs", "cancel", "start", "\ud800", "x" * 2000, "9" * 400, "status", "--on", "debug", ":", ";", "\n",
)  # fmt: skip
VARIABLES = (
    "XDG_RUNTIME_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "XDG_CACHE_HOME", "HOME", job.SESSION_NAME,
)  # fmt: skip


def _line(choices: Choices) -> str:
    words = [choices.pick(OPTIONS if choices.chance(2) else WORDS) for _ in range(choices.number(7))]
    return " ".join(words) if choices.chance(3) else " ".join([*words, choices.take(20).decode("latin-1")])


def magic(data: bytes) -> str:
    """A line behind a magic: what it asks for, or a UsageError that quotes it."""
    choices = Choices(data)
    line = _line(choices)
    try:
        option_pairs_of = parse(choices.pick(MAGICS), line)
        if hasattr(option_pairs_of, "ranks"):
            option_pairs.refuse(option_pairs_of)
    except (LineError, UsageError):
        return "refused"
    return "read"


def loop(data: bytes) -> str:
    """The line of %%parallel."""
    try:
        loops.read_line(_line(Choices(data)))
    except UsageError:
        return "refused"
    return "read"


def profile(data: bytes) -> str:
    """`runtime_env`, of any shape."""
    choices = Choices(data)
    odd = {"A": "1"}, {"A": 1}, {1: "x"}, {"=": "x"}, {"A\0": "x"}, {"NBRAY_WORKER": "x"}
    values: list[Any] = [None, 1, "x", [], {}, ["."], "\0", *odd]
    names = ("env_vars", "working_dir", "py_modules", "pip", "x", 5)
    asked: Any = {choices.pick(names): choices.pick(values) for _ in range(choices.number(3))}
    try:
        runtime_env.profile_of(asked)
    except UsageError:
        return "refused"
    return "read"


@contextlib.contextmanager
def _environment(directory: Path) -> Iterator[Run]:
    """Directories and names that come from the environment; nothing is made but in the directory for temporary files."""
    (directory / "file").write_text("")
    places = (
        "", ".", "relative", "/", "/nowhere", "/proc/self", str(directory), str(directory / "file"), str(directory / ("x" * 90)),
        str(directory / ("x" * 300)), "/" * 300, "\n", "~", "\udcff", f"{directory}/\udcff", "x" * 5000,
    )  # fmt: skip

    def run(data: bytes) -> str:
        choices = Choices(data)
        said = {name: choices.pick(places) for name in VARIABLES if choices.chance(2)}
        with mock.patch.dict(os.environ, said), mock.patch.object(tempfile, "tempdir", str(directory)):
            job.job_key("", os.environ, {job.VSCODE_FILE: choices.pick((1, None, "a.ipynb", "\ud800"))}, "", 1)
            spill_directory.find(None)
            with contextlib.suppress(UsageError):
                result_cache.default_directory()
            try:
                run_directory.parent()
            except StartFailed:
                return "refused"
        return "read"

    yield run


_USAGE = "UsageError"
TARGETS = [
    plain("magic", magic, _USAGE),
    plain("loop", loop, _USAGE),
    plain("runtime_env", profile, _USAGE),
    Target("environment", _environment, "StartFailed, UsageError"),
]
