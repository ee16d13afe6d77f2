"""The scheduler process has no pickle: what would unpickle, or pickle, ends it on the spot.

Tasks, arguments and results are opaque bytes to it. To load them would run users' code in the one process that serves all.
That it does so nowhere is the design; this makes it impossible, in every cluster, tests' and users' alike.
"""

from __future__ import annotations

import os
import sys
import traceback
import types
from typing import NoReturn

MODULES = ("pickle", "_pickle", "dill", "dill._dill", "cloudpickle", "cloudpickle.cloudpickle")
_NAMES = ("load", "loads", "dump", "dumps", "Pickler", "Unpickler")
FUNCTIONS = (*_NAMES, *(f"_{name}" for name in _NAMES))
"""With those that pickle has in Python, too."""


def renounce() -> None:
    """Take pickle and its kin from this process for good; what has imported them keeps modules without their functions."""
    for name in MODULES:
        module = sys.modules.get(name)
        if module is None:
            module = sys.modules[name] = types.ModuleType(name, "absent: the scheduler process does not pickle")
        for function in FUNCTIONS:
            setattr(module, function, abort)


def abort(*args: object, **kwargs: object) -> NoReturn:
    """End this process, and with it its cluster; the scheduler's log says where it was."""
    sys.stderr.write("nbray: the scheduler process was about to pickle or unpickle, which it must never do:\n")
    traceback.print_stack(file=sys.stderr)
    sys.stderr.flush()
    os.abort()
