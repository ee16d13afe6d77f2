"""Ray's name for `nbray.tune.loggers`: `from nbray.tune.logger import CSVLoggerCallback`."""

from __future__ import annotations

from nbray.tune.loggers.csv_logger import CSVLoggerCallback
from nbray.tune.loggers.json_logger import JsonLoggerCallback
from nbray.tune.loggers.logger import LoggerCallback
from nbray.tune.loggers.tensorboard_logger import TBXLoggerCallback

__all__ = ["CSVLoggerCallback", "JsonLoggerCallback", "LoggerCallback", "TBXLoggerCallback"]
