"""Which functions, templates and lifted values this process has registered with the scheduler already."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from nbray.engine.connection import Connection
from nbray.functions import PickledFunction
from nbray.ids import CellRunId, ObjectId, TemplateId
from nbray.scheduler.messages import ForgetTemplates, RegisterFunction, RegisterTemplate, Template

KEPT_CELL_RUNS = 32
"""Templates of so many cell runs stay registered, so that functions which cells go on using are not sent again."""

KEPT_LIFTED = 256
"""So many captured large values stay in the store for the next run of the cell."""
