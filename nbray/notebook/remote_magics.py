"""The magic `%remote`: looks after the persistent namespaces in which cells with `%%remote --on NAME` run."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.display_functions import display
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from nbray.notebook.magics import failing_cleanly, nearest, parse

NO_NAMESPACE = "nbray: no namespace lives. A cell that begins with %%remote --on NAME makes one."


@magics_class
class RemoteMagics(Magics):
    """`%remote`; what it needs is imported when it is first used."""

    shell: Any

    @magic_arguments()
    @argument("action", nargs="?", default="who", metavar="who|fetch|drop", help="what to do (who)")
    @argument("names", nargs="*", metavar="NAME", help="who, drop: a namespace; fetch: names to be assigned here")
    @argument("--on", metavar="NAMESPACE", help="fetch: where the names are; not needed where there is only one namespace")
    @line_magic
    def remote(self, line: str) -> None:
        """The namespaces of %%remote --on NAME: what is in them (who), bring names from there (fetch), end one (drop).

        A namespace lives in a worker of its own: what a cell there assigns stays there, also when this kernel is restarted.
        Small values are fetched as copies, large ones as handles that are fetched when they are used.

        %remote who, %remote who gpu0, %remote fetch model losses --on gpu0, %remote drop gpu0
        """
        asked = parse(self.remote, line)
        actions = {"who": self._who, "fetch": self._fetch, "drop": self._drop}
        action = actions.get(asked.action)
        if action is None:
            raise UsageError(f"%remote {asked.action}: {nearest(asked.action, actions)}")
        if asked.on and asked.action != "fetch":
            raise UsageError(f"%remote {asked.action} takes no --on: name the namespace, as %remote {asked.action} {asked.on}")
        with failing_cleanly(self.shell):
            action(asked)

    def close(self) -> None:
        """Leave the shell as it was."""
        self.shell.magics_manager.magics["line"].pop("remote", None)

    def _who(self, asked: Any) -> None:
        from nbray.notebook import namespaces

        chosen = asked.names or namespaces.names()
        found = [namespaces.existing(name) for name in chosen]
        if found:
            display(namespaces.listing(found))
        else:
            print(NO_NAMESPACE)  # noqa: T201

    def _fetch(self, asked: Any) -> None:
        from nbray.notebook import homecoming, namespaces

        if not asked.names:
            raise UsageError("%remote fetch: name what shall be brought, as %remote fetch model --on gpu0")
        where = namespaces.existing(asked.on or self._only_one())
        outcome = where.fetch(tuple(dict.fromkeys(asked.names)))
        homecoming.assign(self.shell, outcome)
        sys.stderr.write(homecoming.warning(outcome))

    def _drop(self, asked: Any) -> None:
        from nbray.notebook import namespaces

        if not asked.names:
            raise UsageError("%remote drop: name the namespace that shall end, as %remote drop gpu0")
        for namespace in [namespaces.existing(name) for name in asked.names]:
            namespace.end()
            print(f"nbray: the namespace {namespace.name!r} has ended, with all its names.")  # noqa: T201

    def _only_one(self) -> str:
        from nbray.notebook import namespaces

        living = namespaces.names()
        if len(living) != 1:
            known = f"there are {', '.join(living)}: say which by --on NAMESPACE" if living else "no namespace lives"
            raise UsageError(f"%remote fetch: {known}")
        return living[0]
