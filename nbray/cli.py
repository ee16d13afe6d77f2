"""The command `nbray`: what can be typed in a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nbray import __version__, demo
from nbray.errors import NbrayError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nbray", description="Use a cluster from a Jupyter notebook.")
    parser.add_argument("--version", action="version", version=f"nbray {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("demo", help="run the first notebook on a local cluster and say what it gained")
    show.add_argument("--lab", action="store_true", help="open the notebook in JupyterLab instead")
    show.add_argument(
        "--output", type=Path, default=Path("nbray-demo"), metavar="DIR", help="where the notebook is saved (%(default)s)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it did what was asked, 1 when that failed, 2 when it could not be asked for."""
    options = _parser().parse_args(arguments)
    try:
        if options.lab:
            demo.open_lab(options.output)
        return demo.run(options.output, sys.stdout)
    except (NbrayError, OSError) as error:
        sys.stderr.write(f"nbray: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nnbray: stopped; the kernel and its cluster are ended\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
