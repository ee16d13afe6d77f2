"""Loggers: callbacks that write what trials report into files, or send it to another program.

Importing it imports none of them: a name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbray.tune.loggers.csv_logger import CSVLoggerCallback
    from nbray.tune.loggers.json_logger import JsonLoggerCallback
    from nbray.tune.loggers.logger import LoggerCallback
    from nbray.tune.loggers.mlflow_logger import MLflowLoggerCallback
    from nbray.tune.loggers.tensorboard_logger import TBXLoggerCallback
    from nbray.tune.loggers.wandb_logger import WandbLoggerCallback

__all__ = [
    "CSVLoggerCallback", "JsonLoggerCallback", "LoggerCallback", "MLflowLoggerCallback", "TBXLoggerCallback",
    "WandbLoggerCallback",
]  # fmt: skip

_HOMES = {
    "CSVLoggerCallback": "csv_logger",
    "JsonLoggerCallback": "json_logger",
    "LoggerCallback": "logger",
    "MLflowLoggerCallback": "mlflow_logger",
    "TBXLoggerCallback": "tensorboard_logger",
    "WandbLoggerCallback": "wandb_logger",
}
BY_NAME = {
    "csv": "CSVLoggerCallback",
    "json": "JsonLoggerCallback",
    "tensorboard": "TBXLoggerCallback",
    "mlflow": "MLflowLoggerCallback",
    "wandb": "WandbLoggerCallback",
}
"""What `report_to=` of a Trainer calls them."""


def __getattr__(name: str) -> Any:
    """Import what is asked for at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nbray.tune.loggers' has no attribute {name!r}")
    value = getattr(import_module(f"nbray.tune.loggers.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
