"""The command `nbray`: what can be typed in a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nbray import __version__, demo
from nbray.errors import NbrayError

_DEMO_STOPPED = "\nnbray: stopped; the kernel and its cluster are ended\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nbray", description="Use a cluster from a Jupyter notebook.")
    parser.add_argument("--version", action="version", version=f"nbray {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("demo", help="run the first notebook on a local cluster and say what it gained")
    show.add_argument("--lab", action="store_true", help="open the notebook in JupyterLab instead")
    show.add_argument(
        "--output", type=Path, default=Path("nbray-demo"), metavar="DIR", help="where the notebook is saved (%(default)s)"
    )
    show.set_defaults(run=_demo)
    stacks = commands.add_parser("stack", help="show what every worker of your running clusters is doing, without stopping it")
    stacks.add_argument("cluster", nargs="?", metavar="CLUSTER", help="one cluster, by the id that nbray.init shows (all)")
    stacks.set_defaults(run=_stack)
    memory = commands.add_parser("memory", help="show the largest objects of your running clusters and who keeps them alive")
    memory.add_argument("cluster", nargs="?", metavar="CLUSTER", help="one cluster, by the id that nbray.init shows (all)")
    memory.add_argument("-n", "--limit", type=int, default=50, metavar="N", help="so many objects (%(default)s)")
    memory.set_defaults(run=_memory)
    return parser


def _demo(options: argparse.Namespace) -> int:
    if options.lab:
        demo.open_lab(options.output)
    return demo.run(options.output, sys.stdout)


def _stack(options: argparse.Namespace) -> int:
    from nbray import cluster_commands  # it imports the engine, which the demo does without

    cluster_commands.stack(options.cluster, sys.stdout)
    return 0


def _memory(options: argparse.Namespace) -> int:
    from nbray import cluster_commands

    cluster_commands.memory(options.cluster, options.limit, sys.stdout)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when it did what was asked, 1 when that failed, 2 when it could not be asked for."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (NbrayError, OSError) as error:
        sys.stderr.write(f"nbray: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nnbray: stopped\n" if options.command != "demo" else _DEMO_STOPPED)
        return 130


if __name__ == "__main__":
    sys.exit(main())
