"""The kernel "Python 3 (nbray)": ipykernel with nbray loaded, which stays busy while its notebook has work on the cluster.

It is an IPython kernel in all else: debugger, subshells, and the user's settings for IPython and its kernel. `kernel` starts it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp, kernel_flags
from ipykernel.kernelbase import Kernel
from traitlets import Bool, Type

from nbray.notebook.awaiting_cells import interruptible
from nbray.notebook.kernel_status import KernelStatus


class NbrayKernel(IPythonKernel):
    """An IPython kernel that counts work on the cluster as its own, and whose cells that await can be stopped."""

    def __init__(self, **settings: Any) -> None:
        self.remote_status = KernelStatus(self._publish_remote_status)
        super().__init__(**settings)
        assert self.session is not None
        self._work = self.session.msg_header("execute_request")
        """Stands for a request that none has sent: all the work on the cluster. A server heeds what follows from cells only."""

    @property
    def banner(self) -> str:  # type: ignore[override]  # a property in ipykernel, too
        """What a console shows first."""
        return f"{super().banner or ''}nbray -- %%remote runs a cell on a worker, %nbray shows the cluster.\n"

    def _publish_status(self, status: str, channel: str, parent: Any = None) -> None:
        asked = parent or self.get_parent(channel)
        request = str((asked or {}).get("header", {}).get("msg_id", ""))
        say = super()._publish_status
        self.remote_status.report(status, request, lambda: say(status, channel, parent))

    def _publish_remote_status(self, status: str) -> None:
        super()._publish_status(status, "shell", {"header": self._work})

    @contextmanager
    def _cancel_on_sigint(self, future: asyncio.Future[Any]) -> Iterator[None]:
        assert self.shell is not None
        with super()._cancel_on_sigint(future), interruptible(future, self.shell.user_global_ns):
            yield


class NbrayKernelApp(IPKernelApp):
    """Starts the kernel; settings for ipykernel's own (`ipython_kernel_config.py`) hold for it."""

    kernel_class = Type(NbrayKernel, klass=Kernel).tag(config=True)
    remote = Bool(False, help="Start in remote mode: all cells run on the cluster, as after %remote on").tag(config=True)
    flags = {**kernel_flags, "remote": ({"NbrayKernelApp": {"remote": True}}, "Let all cells run on the cluster.")}

    def init_extensions(self) -> None:
        """The user's extensions, then nbray. Where that fails the kernel is a plain one, and its first cell says so."""
        super().init_extensions()
        assert self.shell is not None
        try:
            self.shell.extension_manager.load_extension("nbray")
            if self.remote:
                self.shell.run_line_magic("remote", "on")
        except Exception as error:  # whatever it is: a notebook with a kernel is better than one without
            self.log.error("nbray could not be loaded", exc_info=True)
            _tell_in_first_cell(self.shell, f"{type(error).__name__}: {error}")


def _tell_in_first_cell(shell: Any, reason: str) -> None:
    def tell(info: Any) -> None:
        shell.events.unregister("pre_run_cell", tell)
        sys.stderr.write(
            f"nbray could not be loaded ({reason}): there is no %%remote and no %nbray in this kernel, the rest works. "
            "%load_ext nbray tries again and shows where it fails; pip install --force-reinstall nbray mends an installation.\n"
        )

    shell.events.register("pre_run_cell", tell)
