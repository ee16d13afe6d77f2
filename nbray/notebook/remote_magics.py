"""The magics `%remote` and `%%local`: the namespaces in which remote cells run, and the mode in which all cells do."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.display_functions import display
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from nbray.notebook import remote_mode
from nbray.notebook.command_lines import nearest, parse
from nbray.notebook.magics import failing_cleanly
from nbray.notebook.remote_completion import RemoteCompletion
from nbray.notebook.remote_mode import RemoteMode

LOOK_SECONDS = 0.5
"""So long is waited for what a namespace has."""
NO_NAMESPACE = "nbray: no namespace lives. A cell that begins with %%remote --on NAME makes one."


@magics_class
class RemoteMagics(Magics):
    """`%remote` and `%%local`; what they need is imported when they are first used."""

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.mode = RemoteMode(shell)
        self._completion = RemoteCompletion(shell, self.mode)

    @magic_arguments()
    @argument("action", nargs="?", default="who", metavar="on|off|who|fetch|drop", help="what to do (who)")
    @argument("names", nargs="*", metavar="NAME", help="on, who, drop: a namespace; fetch: names to be assigned here")
    @argument("--on", metavar="NAMESPACE", help="fetch: where the names are, unless it is plain")
    @line_magic
    def remote(self, line: str) -> None:
        """Let all following cells run on the cluster, in one namespace (on, off); the namespaces of %%remote --on NAME: what
        is in them (who), bring names from there (fetch), end one (drop).

        %remote on makes each cell one with %%remote --on main; with a name, %remote on gpu0, another. %%local runs one cell
        here, %remote off ends it. Cells of only %remote, %nbray, %load_ext and %debug run here anyway.

        A namespace lives in a worker of its own: what a cell there assigns stays there, also when this kernel is restarted.
        Small values are fetched as copies, large ones as handles that are fetched when they are used.

        Examples:
          %remote on                                   following cells run in the namespace main
          %remote on gpu0                              they run in the namespace gpu0
          %remote off                                  they run here again
          %remote who                                  every namespace and its names
          %remote who gpu0                             the names of one
          %remote fetch model losses --on gpu0         bring these names from there
          %remote drop gpu0                            end it, with all its names
        """
        asked = parse(self.remote, line)
        actions = {"on": self._on, "off": self._off, "who": self._who, "fetch": self._fetch, "drop": self._drop}
        action = actions.get(asked.action)
        if action is None:
            raise UsageError(f"%remote {asked.action}: {nearest(asked.action, actions)}")
        if asked.on and asked.action != "fetch":
            raise UsageError(f"%remote {asked.action} takes no --on: name the namespace, as %remote {asked.action} {asked.on}")
        with failing_cleanly(self.shell):
            action(asked)

    @cell_magic
    def local(self, line: str, cell: str) -> None:
        """Run this cell here, in the notebook's own process, while `%remote on` lets the others run on the cluster.

        It stands alone on the first line of its cell:

          %%local
          summary = model.describe()
        """
        if line.strip():
            raise UsageError(f"%%local {line.strip()}: nothing may stand behind %%local: the code goes below it")
        raise UsageError("%%local: it must be the first line of its cell")

    @cell_magic(remote_mode.CELL_MAGIC)  # type: ignore[arg-type]
    def _run_remotely(self, namespace: str, cell: str) -> None:
        from nbray.notebook import namespace_cells

        with failing_cleanly(self.shell):
            namespace_cells.run_whole(self.shell, cell, namespace)

    def close(self) -> None:
        """Leave the shell as it was."""
        self._completion.close()
        self.mode.close()
        for kind, name in (("line", "remote"), ("cell", "local"), ("cell", remote_mode.CELL_MAGIC)):
            self.shell.magics_manager.magics[kind].pop(name, None)

    def _on(self, asked: Any) -> None:
        from nbray.notebook import namespaces

        if len(asked.names) > 1:
            raise UsageError(f"%remote on {' '.join(asked.names)}: cells run in one namespace, as %remote on {asked.names[0]}")
        name = asked.names[0] if asked.names else remote_mode.MAIN
        namespaces.check_name(name)
        self.mode.namespace = name
        print(  # noqa: T201
            f"nbray: from now on cells run on the cluster, in the namespace {name!r}{self._found(name)}. %%local runs one here, "
            "%remote off all."
        )

    def _found(self, name: str) -> str:
        """What the namespace has, if it lives already: in this notebook's cluster, or in that of an earlier kernel."""
        from nbray.notebook import namespaces, own_cluster

        if not own_cluster.goes_on() or name not in namespaces.names():
            return ""
        contents = namespaces.existing(name).look(LOOK_SECONDS)
        if contents is None:
            return ", where a cell runs"
        return f", which has {namespaces.names_text([each.name for each in contents.names]) or 'no names yet'}"

    def _off(self, asked: Any) -> None:
        if asked.names:
            name = asked.names[0]
            raise UsageError(f"%remote off takes no {name}: it ends the mode; %remote drop {name} ends a namespace")
        was, self.mode.namespace = self.mode.namespace, None
        print("nbray: cells run here." if was is None else f"nbray: cells run here again; the names in {was!r} stay there.")  # noqa: T201

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
        where = namespaces.existing(asked.on or self.mode.namespace or self._only_one())
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
