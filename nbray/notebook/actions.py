"""The actions of `%nbray`: one table, from which its help, its hints and its refusals are made."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.core.error import UsageError

from nbray.notebook.command_lines import nearest
from nbray.notebook.display import Display

if TYPE_CHECKING:
    from nbray.notebook.background import Background

_WIDTH = 120
_COLUMN = 24


class ActionCall(NamedTuple):
    """One line of `%nbray`, as its action gets it."""

    shell: Any
    page: Display
    background: Callable[[], Background]
    """The cells that run with `--bg`."""
    words: tuple[str, ...]
    """What stands behind the action, without options."""
    options: Mapping[str, Any]
    """Every option of `%nbray` by its long name; None or False where it is not given."""

    @property
    def word(self) -> str:
        """What stands behind the action, as one text; "" where nothing does."""
        return " ".join(self.words)


class Action(NamedTuple):
    """What `%nbray NAME` is."""

    name: str
    usage: str
    """What may stand behind the name, in the notation of the help; "" for nothing."""
    most_words: int
    """How many words may; an action that takes some says itself which they can be."""
    options: tuple[str, ...]
    """The long names of the options that belong to it, without dashes."""
    help: str
    """What it is for, with an example where it takes anything."""
    run: Callable[[ActionCall], Any]
    """Imports what it needs when it is called: nothing of it is loaded with the extension."""


def find(name: str) -> Action:
    """The action of that name; raises UsageError with the nearest one."""
    found = ACTIONS.get(name)
    if found is None:
        raise UsageError(f"%nbray {name}: {nearest(name, ACTIONS)}")
    return found


def refuse_strangers(action: Action, words: tuple[str, ...], options: Mapping[str, Any]) -> None:
    """Raise UsageError for what belongs to other actions."""
    for option, value in options.items():
        if value not in (None, False) and option not in action.options:
            owners = [f"%nbray {each.name}" for each in ACTIONS.values() if option in each.options]
            raise UsageError(f"%nbray {action.name} takes no --{option}; it belongs to {' and '.join(owners)}")
    if len(words) > action.most_words:
        shown = " ".join(words[action.most_words :])
        expected = f"expected %nbray {action.name} {action.usage}" if action.usage else "nothing may stand behind it"
        raise UsageError(f"%nbray {action.name} takes no {shown}: {expected}")


def help_text() -> str:
    """What `%nbray?` says: the actions, each with what it takes and what it is for."""
    lines = ["The cluster of this notebook. It starts by itself at the first use; plain %nbray shows it.", "", "Actions:"]
    for action in ACTIONS.values():
        usage = f"{action.name} {action.usage}".rstrip()
        text = textwrap.wrap(action.help, _WIDTH - _COLUMN - 2)
        if len(usage) >= _COLUMN:
            lines.append(f"  {usage}")
            usage = ""
        lines.append(f"  {usage:<{_COLUMN}}{text[0]}")
        lines += [" " * (_COLUMN + 2) + each for each in text[1:]]
    return "\n".join(lines)


# ---------------------------------------------------------------- what each does; the table is below


def _status(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.status(call.options["all"])


def _attach(call: ActionCall) -> Any:
    from nbray.notebook import attachment

    return attachment.attach(call.shell, call.page, call.background, call.word, of_all=call.options["all"])


def _start(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.start(call.options["workers"], call.options["memory"])


def _stop(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.stop()


def _scale(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.scale(call.word)


def _cancel(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.cancel(call.word, call.options["all"])


def _retry(call: ActionCall) -> Any:
    from nbray.notebook import parallel_cells

    return parallel_cells.retry(call.shell, call.word or None)


def _memory(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.memory()


def _history(call: ActionCall) -> Any:
    from nbray.notebook import history_actions

    return history_actions.history(call.words, of_all=call.options["all"])


def _why(call: ActionCall) -> Any:
    from nbray.notebook import history_actions

    return history_actions.why(call.words)


def _cache(call: ActionCall) -> Any:
    from nbray.notebook import kept_results

    return kept_results.cache(call.words)


def _stack(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.stack(call.word)


def _debug(call: ActionCall) -> None:
    from nbray.notebook import cluster_actions

    cluster_actions.debug(call.shell, call.word)


def _tune(call: ActionCall) -> Any:
    from nbray.notebook import experiments

    return experiments.tune(call.words)


def _doctor(call: ActionCall) -> Any:
    from nbray.notebook.doctor import doctor

    return doctor(call.shell)


_ROWS = (
    Action(
        "status", "[--all]", 0, ("all",),
        "the cluster: its workers, resources, store and this notebook's cell runs; those of others too: %nbray status --all; the "
        "same as plain %nbray", _status,
    ),
    Action(
        "start", "[-n N] [--memory SIZE]", 0, ("workers", "memory"),
        "start it with other settings, as %nbray start -n 4 --memory 4GB; by itself it starts at the first use", _start,
    ),
    Action(
        "attach", "[CELL|NAME] [--all]", 1, ("all",),
        "after a restart of the kernel or a reload of the page: the cards of the cells that go on and of those that were missed, "
        "what they have printed, the names that they assign; all of one cell, as %nbray attach 4; to another notebook's cluster, "
        "as %nbray attach train.ipynb; with --all also what others do", _attach,
    ),
    Action("stop", "", 0, (), "end it, with its tasks and objects", _stop),
    Action("scale", "N", 1, (), "change how many workers it has while it runs, as %nbray scale 8", _scale),
    Action(
        "cancel", "CELL|--all", 1, ("all",),
        "stop the tasks of one cell, as %nbray cancel 4 for [4], or those of all: %nbray cancel --all", _cancel,
    ),
    Action(
        "retry", "[CELL]", 1, (),
        "run those items of a %%parallel cell again that failed or were stopped, of the latest one or as %nbray retry 4", _retry,
    ),
    Action("memory", "", 0, (), "what fills its store, and which names and tasks keep it there", _memory),
    Action(
        "cache", "[clear [NAME]]", 100, (),
        "the results that --cache and cache=True keep on disk; %nbray cache clear deletes them, "
        "%nbray cache clear fit those of fit", _cache,
    ),
    Action(
        "history", "[CELL|clear] [--all]", 2, ("all",),
        "the cells that had work on the cluster, what they took along, brought back and took; of one all that is known, with the "
        "versions that it used: %nbray history 4; with --all those of all your notebooks", _history,
    ),
    Action(
        "why", "[CELL]", 1, (),
        "where the time of the latest cell went, or of one: %nbray why 4, and what would make it faster", _why,
    ),
    Action(
        "stack", "[TASK]", 100, (),
        "what every worker is doing now, line by line, without stopping it; or who runs one task: by name, id or cell, as "
        "%nbray stack fit or %nbray stack 4", _stack,
    ),
    Action(
        "debug", "[TASK]", 100, (),
        "the tasks that wait at a breakpoint or for input(); where none does, pdb in the frames of a task that failed, with "
        "copies of its variables: the latest one, or by name, id or cell, as %nbray debug fit or %nbray debug 4", _debug,
    ),
    Action(
        "tune", "[NAME] [stop|pause|resume [TRIAL]]", 3, (),
        "the card of an experiment that goes on, also after the kernel was restarted: run = %nbray tune; what shall become of "
        "it or of a trial: %nbray tune stop, %nbray tune pause 3", _tune,
    ),
    Action(
        "doctor", "", 0, (),
        "whether this machine, this kernel and what is installed suit nbray, and what to type where they do not", _doctor,
    ),
)  # fmt: skip

ACTIONS: dict[str, Action] = {action.name: action for action in _ROWS}
"""In the order of the help."""
