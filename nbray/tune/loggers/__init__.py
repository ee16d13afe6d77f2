"""Loggers: callbacks that write what trials report into files, or send it to another program.

Importing it imports none of them: a name is looked up when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.lazy_names import lazy_names

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

BY_NAME = {
    "csv": "CSVLoggerCallback",
    "json": "JsonLoggerCallback",
    "tensorboard": "TBXLoggerCallback",
    "mlflow": "MLflowLoggerCallback",
    "wandb": "WandbLoggerCallback",
}
"""What `report_to=` of a Trainer calls them."""

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        f"{__name__}.csv_logger": ["CSVLoggerCallback"],
        f"{__name__}.json_logger": ["JsonLoggerCallback"],
        f"{__name__}.logger": ["LoggerCallback"],
        f"{__name__}.mlflow_logger": ["MLflowLoggerCallback"],
        f"{__name__}.tensorboard_logger": ["TBXLoggerCallback"],
        f"{__name__}.wandb_logger": ["WandbLoggerCallback"],
    },
)
