"""Which GPUs of this machine this process may use, by the names that CUDA_VISIBLE_DEVICES takes.

They are counted by NVIDIA's management library, which comes with the driver: no CUDA context is made in the notebook.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"
_LIBRARY = "libnvidia-ml.so.1"


def visible(restriction: str | None, count: int) -> tuple[str, ...]:
    """The names of the GPUs among `count` that CUDA would show with CUDA_VISIBLE_DEVICES set like this (None: unset).

    >>> visible(None, 2), visible("1", 2), visible("", 2), visible("GPU-8a3f,0", 2), visible("0,7,1", 2)
    (('0', '1'), ('1',), (), ('GPU-8a3f', '0'), ('0',))
    """
    if restriction is None:
        return tuple(str(index) for index in range(count))
    names: list[str] = []
    for name in restriction.split(","):
        known = name.strip()
        if not known or (known.lstrip("-").isdigit() and not 0 <= int(known) < count):
            break  # as CUDA does: the first name that is none ends the list
        names.append(known)
    return tuple(names)


def detect() -> tuple[str, ...]:
    """The names of the GPUs that this process may use."""
    restriction = os.environ.get(VARIABLE)
    return visible(restriction, count_devices()) if restriction != "" else ()


def count_devices(library: str = _LIBRARY, folder: Path = Path("/proc/driver/nvidia/gpus")) -> int:
    """How many GPUs the driver manages; 0 where there is no driver."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return _listed(folder)
    count = ctypes.c_uint(0)
    if nvml.nvmlInit_v2() != 0:
        return _listed(folder)
    try:
        return count.value if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0 else _listed(folder)
    finally:
        nvml.nvmlShutdown()


def _listed(folder: Path) -> int:
    """What the kernel's module says, where its library is not there: in some containers."""
    return len(list(folder.iterdir())) if folder.is_dir() else 0
