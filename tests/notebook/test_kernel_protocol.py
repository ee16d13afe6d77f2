"""Jupyter's own test of kernels, run on the kernel "Python 3 (nbray)": each message is answered, and in the right form."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import jupyter_kernel_test
import pytest
from jupyter_client.manager import KernelManager

from tests.notebook.kernel import kernel_environment, kernelspecs

pytestmark = pytest.mark.local


def _numbers(message: dict[str, Any]) -> list[int]:
    return [int(message["content"]["text"])] if message["msg_type"] == "stream" else []


class TestNbrayKernel(jupyter_kernel_test.KernelTests):  # type: ignore[misc]  # it comes without types
    """Its tests are inherited; what follows is what they need to know of Python."""

    kernel_name = "nbray"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys\nprint('oops', file=sys.stderr)"
    completion_samples = [{"text": "zz.adl", "matches": {"adler32"}}]
    complete_code_samples = ["1", "print('hello')", "def f(x):\n    return x * 2\n\n"]
    incomplete_code_samples = ["def f(x):", "x = (1,"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "print?"
    code_generate_error = "1 / 0"
    code_execute_result = [{"code": "1+2+3", "result": "6"}, {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"}]
    code_display_data = [{"code": "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))", "mime": "text/html"}]
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output\nclear_output()"

    def test_history(self) -> None:
        """In place of Jupyter's, which asks for the session that runs by its number: IPython calls that 0."""
        codes = [sample["code"] for sample in self.code_execute_result]

        def found(**asked: Any) -> list[Any]:
            entries: list[Any] = self.history_helper(codes, output=False, raw=True, **asked)["content"]["history"]
            return entries

        tail = found(hist_access_type="tail", n=len(codes))
        assert [source for _, _, source in tail] == codes
        first = tail[0][1]
        assert found(hist_access_type="range", session=0, start=first, stop=first + 1) == [[0, first, codes[0]]]
        assert [source for _, _, source in found(hist_access_type="search", pattern="1?2*", unique=True, n=1)] == [codes[0]]

    arguments: tuple[str, ...] = ()
    """Of the kernel's command line."""
    _folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def setUpClass(cls) -> None:
        """Start it from this checkout, with a module whose names can be completed."""
        cls._folder = tempfile.TemporaryDirectory()
        folder = Path(cls._folder.name)
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        connection_file = str(runtime / "kernel-test.json")
        cls.km = KernelManager(kernel_name="nbray", connection_file=connection_file, kernel_spec_manager=kernelspecs(folder))
        cls.km.start_kernel(cwd=str(folder), env=kernel_environment(folder, runtime), extra_arguments=list(cls.arguments))
        cls.kc = cls.km.blocking_client()
        cls.kc.start_channels()
        cls.kc.wait_for_ready(timeout=30)
        pids: list[int] = []
        code = "import zlib as zz, os\nprint(os.getpid())"
        cls.kc.execute_interactive(code, timeout=30, output_hook=lambda message: pids.extend(_numbers(message)))
        assert (pids == [cls.km.provisioner.pid]) is not bool(cls.arguments), "or it ran in the wrong place"
        assert cls.kc.execute_interactive("%nbray", timeout=10)["content"]["status"] == "ok", "or nbray was not loaded"

    @classmethod
    def tearDownClass(cls) -> None:
        """Shut it down."""
        cls.kc.stop_channels()
        cls.km.shutdown_kernel()
        cls.kc.context.destroy(linger=0)
        cls._folder.cleanup()


class TestNbrayKernelInRemoteMode(TestNbrayKernel):
    """The same where each cell runs on the cluster: results and help are displayed, since their cell is elsewhere."""

    arguments = ("--remote",)
    completion_samples = [{"text": "zz.adl", "matches": {"zz.adler32"}}]

    def test_execute_result(self) -> None:
        """Displayed, in the same form."""
        for sample in self.code_execute_result:
            assert self.displayed(sample["code"])[0]["text/plain"] == sample["result"]

    def test_pager(self) -> None:
        """Displayed below the cell."""
        assert "Prints the values to a stream" in self.displayed(self.code_page_something)[0]["text/plain"]

    def displayed(self, code: str) -> list[dict[str, str]]:
        """What a cell that succeeds displays."""
        self.flush_channels()
        reply, messages = self.execute_helper(code)
        assert reply["content"]["status"] == "ok"
        return [message["content"]["data"] for message in messages if message["msg_type"] == "display_data"]
