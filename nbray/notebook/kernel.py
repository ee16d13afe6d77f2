"""`python -m nbray.notebook.kernel -f FILE` starts the kernel "Python 3 (nbray)", as `kernelspec/kernel.json` says."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the kernel until it is shut down."""
    from nbray.notebook.kernel_app import NbrayKernelApp

    NbrayKernelApp.launch_instance()


if __name__ == "__main__":
    if sys.path[0] == "" or Path(sys.path[0]) == Path.cwd():
        # A file beside the notebook, random.py say, must not hide a module that the kernel needs while it starts. IPython puts
        # the folder back, behind the standard library.
        del sys.path[0]
    main()
