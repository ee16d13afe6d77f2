"""What stands behind the name of a module: the sources of local ones with all that they import, versions of packages.

Reads source files, and imports nothing.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import xxhash

from nbray.fingerprints import Import, Untracked
from nbray.local_modules import is_installed

_OWN = __name__.partition(".")[0]


class ModuleVersions:
    """Facts about the modules behind imports, of one moment: each file is read once."""

    def __init__(self, modules: Mapping[str, ModuleType] | None = None) -> None:
        self._modules = sys.modules if modules is None else modules
        self._facts: dict[str, str] = {}
        self.files: dict[str, str] = {}
        """Hashes of the local source files that were met, by path."""

    def about(self, asked: Import) -> list[str]:
        """A fact for each module that an import runs, of local modules also for those that they import. Raises Untracked."""
        if asked.level:
            raise Untracked(f"a relative import (of {asked.name or '.'}) inside a function that does not belong to a module")
        known: dict[str, None] = {}
        waiting = list(self._names(asked.name, asked.members))
        while waiting:
            name = waiting.pop()
            if name not in known:
                known[name] = None
                waiting += self._look(name)
        return [self._facts[name] for name in known if self._facts[name]]

    def _names(self, name: str, members: tuple[str, ...]) -> Iterator[str]:
        """The module with those around it, and those of its members that are modules."""
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names or parts[0] == "__main__":
            return
        yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
        folders = getattr(self._modules.get(name), "__path__", None)
        for member in members if folders is not None else ():
            full = f"{name}.{member}"
            if full in self._modules or PathFinder.find_spec(full, list(folders or ())) is not None:
                yield full

    def _look(self, name: str) -> list[str]:
        """Note the fact about one module; returns the modules that it imports, where its source tells."""
        module = self._modules.get(name)
        spec = self._find(name) if module is None else None
        file = getattr(module, "__file__", None) or (spec.origin if spec is not None else None)
        self._facts.setdefault(name, "")
        if not isinstance(file, str):
            if module is None and spec is None:
                self._facts[name] = f"{name} is not there"
            return []
        path = Path(file).resolve()
        if is_installed(path) or name.partition(".")[0] == _OWN:
            if "." not in name or not getattr(self._modules.get(name.partition(".")[0]), "__file__", None):
                self._facts[name] = _installed_fact(name, str(path), getattr(module, "__version__", ""))
            return []
        if module is None:
            raise Untracked(f"the module {name}, which is imported there only: import it here too")
        if path.suffix != ".py":
            raise Untracked(f"the module {name}, which is not Python source ({path.name})")
        try:
            source = path.read_bytes()
        except OSError as error:
            raise Untracked(f"the module {name}, whose source cannot be read ({error})") from error
        self.files[str(path)] = digest = xxhash.xxh3_128_hexdigest(source)
        self._facts[name] = f"{name} {path.name} {digest}"
        package = name if hasattr(module, "__path__") else name.rpartition(".")[0]
        return [each for asked in _imports(source, name) for each in self._resolved(asked, package)]

    def _resolved(self, asked: Import, package: str) -> Iterator[str]:
        name = asked.name
        if asked.level:
            around = package.rsplit(".", asked.level - 1)[0] if asked.level > 1 else package
            name = f"{around}.{name}" if name else around
        return self._names(name, asked.members)

    def _find(self, name: str) -> ModuleSpec | None:
        parent, _, _ = name.rpartition(".")
        if not parent:
            return PathFinder.find_spec(name)
        folders: Any = getattr(self._modules.get(parent), "__path__", None)
        return None if folders is None else PathFinder.find_spec(name, list(folders))


@functools.lru_cache(maxsize=256)
def _imports(source: bytes, name: str) -> tuple[Import, ...]:
    """Every import statement of a module, inside functions too; `*` may mean any of its modules, which counts the package."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise Untracked(f"the module {name}, whose source is broken ({error})") from error
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, 0, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(Import(node.module or "", node.level, tuple(alias.name for alias in node.names)))
    return tuple(found)


def _installed_fact(name: str, path: str, version: Any) -> str:
    """The version that is loaded, and when its first file was written."""
    try:
        written = Path(path).stat().st_mtime_ns
    except OSError:  # a package inside a zip file
        written = 0
    shown = version if isinstance(version, str) and version else _distributed(name)
    return f"{name} {shown} {written}"


@functools.cache
def _distributed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "?"
