"""What a task's worker is started with: environment variables, a working directory, modules; checked, and as bytes.

Nothing is installed or copied: folders are used where they are. Workers are kept for each different `runtime_env`, since what
a process has imported and what libraries have read from its environment cannot be changed afterwards.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from nbray.errors import NotSupportedHere, UsageError, WrongType

_INSTALL = (
    "nbray installs nothing: its workers are processes of this machine and see what this Python has. Install it here, for "
    "example with %pip install, and leave {name} out"
)
_ELSEWHERE = "its workers are plain processes of this machine; start the notebook itself there, and leave {name} out"
_NOT_HERE = {
    **dict.fromkeys(("pip", "uv", "conda"), _INSTALL),
    **dict.fromkeys(("container", "image_uri", "py_executable"), _ELSEWHERE),
    "worker_process_setup_hook": "call the function at the beginning of the task, or in the actor's __init__",
    "excludes": "nothing is copied, so there is nothing to exclude: leave it out",
    "config": "nothing is installed, so there is nothing to set up: leave it out",
}
NAMES = ("env_vars", "working_dir", "py_modules")
_RESERVED = ("NBRAY_WORKER",)
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class RuntimeEnv(dict[str, Any]):
    """A `runtime_env` by the names of its fields, as Ray has it; a plain dict does as well.

    >>> RuntimeEnv(env_vars={"LEVEL": "3"})
    {'env_vars': {'LEVEL': '3'}}
    """

    def __init__(self, **fields: Any) -> None:
        profile_of(fields)
        super().__init__(fields)


class Profile(msgspec.Struct, array_like=True, frozen=True):
    """A checked `runtime_env`; equal ones are equal as bytes too."""

    env_vars: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""
    working_dir: str = ""
    module_folders: tuple[str, ...] = ()
    """Where modules are looked for first."""

    def __bool__(self) -> bool:
        return bool(self.env_vars or self.working_dir or self.module_folders)

    def encode(self) -> bytes:
        """As the scheduler compares it; nothing for an empty one."""
        return msgspec.msgpack.encode(self) if self else b""

    def over(self, outer: Profile) -> Profile:
        """This one inside `outer`, as a task's inside that of the task that submitted it: variables add up, the rest replaces."""
        return Profile(
            tuple(sorted({**dict(outer.env_vars), **dict(self.env_vars)}.items())),
            self.working_dir or outer.working_dir,
            self.module_folders or outer.module_folders,
        )

    def needs_own_workers(self, directory: str) -> bool:
        """Whether other workers than those of tasks without a profile are needed, where these work in `directory`."""
        return bool(self.env_vars or self.module_folders or self.working_dir not in ("", directory))

    def path(self) -> list[str]:
        """What comes before the driver's own `sys.path`."""
        python_path = dict(self.env_vars).get("PYTHONPATH", "")
        entries = [self.working_dir, *self.module_folders, *python_path.split(os.pathsep)]
        return [entry for entry in entries if entry]

    def environ(self, outer: Mapping[str, str]) -> dict[str, str]:
        """The variables of a process that has `outer` and these; `${NAME}` in a value stands for what `outer` has."""
        own = {name: _VARIABLE.sub(lambda found: outer.get(found[1], ""), value) for name, value in self.env_vars}
        return {**outer, **own}


EMPTY = Profile()


def decode(encoded: bytes) -> Profile:
    """The inverse of `Profile.encode`."""
    return msgspec.msgpack.decode(encoded, type=Profile) if encoded else EMPTY


def profile_of(runtime_env: Any) -> Profile:
    """The profile of a `runtime_env` as a user writes it; what is wrong with it is an error that names it.

    >>> profile_of({"env_vars": {"B": "2", "A": "1"}}).env_vars
    (('A', '1'), ('B', '2'))
    """
    if runtime_env is None:
        return EMPTY
    if not isinstance(runtime_env, Mapping):
        raise WrongType(f'runtime_env={runtime_env!r}: expected a dict, for example runtime_env={{"env_vars": {{"LEVEL": "3"}}}}')
    for name in runtime_env:
        _check_name(name)
    given = {name: value for name, value in runtime_env.items() if value is not None}
    return Profile(
        _env_vars(given.get("env_vars", {})), _working_dir(given.get("working_dir", "")), _folders(given.get("py_modules", ()))
    )


def _check_name(name: Any) -> None:
    if name in NAMES:
        return
    if name in _NOT_HERE:
        raise NotSupportedHere(f"runtime_env[{name!r}]: {_NOT_HERE[name].format(name=name)}")
    near = difflib.get_close_matches(str(name), NAMES, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(NAMES)}"
    raise UsageError(f"runtime_env has no field {name!r}: {hint}")


def _env_vars(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise WrongType(f'env_vars={value!r}: expected a dict of text to text, for example {{"OMP_NUM_THREADS": "4"}}')
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise WrongType(f"env_vars[{name!r}]={text!r}: names and values must be text; write {str(name)!r}: {str(text)!r}")
        if not name or "=" in name or "\0" in name + text:
            raise UsageError(f"env_vars[{name!r}]={text!r}: a name is not empty and has no '=', and neither has a zero byte")
        if name in _RESERVED:
            raise UsageError(f"env_vars[{name!r}]: nbray itself sets this one, choose another name")
    return tuple(sorted(value.items()))


def _working_dir(value: Any) -> str:
    if not value and value == "":
        return ""
    return _folder(value, "working_dir")


def _folder(value: Any, what: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise WrongType(f'{what}={value!r}: expected the path of a folder, for example {what}="src"')
    if "://" in str(value) or str(value).endswith((".zip", ".whl")):
        raise NotSupportedHere(f"{what}={str(value)!r}: expected a folder of this machine; download or unpack it first")
    path = Path(value).expanduser().absolute()
    if not path.exists():
        raise UsageError(f"{what}={str(value)!r}: there is no {str(path)!r}; the path is taken from the working directory")
    if what == "working_dir" and not path.is_dir():
        raise UsageError(f"{what}={str(value)!r} is a file: expected the folder in which it lies, {str(path.parent)!r}")
    return str(path)


def _folders(value: Any) -> tuple[str, ...]:
    """The folders in which the modules lie."""
    if isinstance(value, (str, os.PathLike)) or not isinstance(value, Sequence):
        raise WrongType(f'py_modules={value!r}: expected a list of paths of packages or modules, for example ["lib/tools"]')
    return tuple(dict.fromkeys(_home_of(module) for module in value))


def _home_of(module: Any) -> str:
    """Where to look for a module that is given itself, or by the path of its file or its package's folder."""
    if isinstance(module, ModuleType):
        file = getattr(module, "__file__", None)
        if file is None:
            raise UsageError(f"py_modules has {module!r}, which was not made of a file: every worker has it, or none can")
        path = Path(file)
        return str((path.parent if path.name == "__init__.py" else path).parent.absolute())
    return str(Path(_folder(module, "py_modules")).parent)
