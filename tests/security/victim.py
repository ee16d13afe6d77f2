"""A session with all that others might want: output, objects, spilled ones, kept results, failures, an experiment, history.

Prints, as one line of JSON, all its paths and processes, then waits until its standard input ends; if the word `whole` came
by it, it looks whether all is there.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import psutil

import nbray
from nbray import session, tune
from nbray.engine import run_directory
from nbray.notebook import history_file
from nbray.notebook.manifest import Manifest


def main() -> None:
    """Hold the secret, which comes by standard input, wherever a user's data may be; argument 1 is the umask."""
    os.umask(int(sys.argv[1], 8))
    secret = sys.stdin.readline().strip()
    nbray.init(num_workers=1, memory="16MB")
    held = [nbray.put(np.frombuffer(secret.encode() * (4_000_000 // len(secret)), dtype=np.uint8)) for _ in range(6)]
    assert nbray.get(kept.remote(secret)) == secret[::-1]
    try:
        nbray.get(failing.remote(secret))
    except ValueError:
        pass
    else:
        raise AssertionError("it fails, with the secret among its variables")
    backend = session.current_backend()
    marked = [directory for directory, _ in run_directory.clusters()]
    caches = Path(os.environ["XDG_CACHE_HOME"])
    spilled = list(caches.glob("nbray/spill-*/*"))
    assert marked, backend
    assert len(spilled) > 1, "some objects are on the disk"
    assert list(caches.glob("nbray/results/*")), "a result is kept"
    experiment = tune_something(secret)
    history = history_file.HistoryFile(history_file.directory(), "a.ipynb")
    history.append(Manifest(cell_run="c", number=1, notebook="a.ipynb", began=1.0, how="remote", line=secret))
    assert history.manifests()
    places = [*marked, caches / "nbray", experiment]
    paths = [*places, *(path for place in places for path in place.rglob("*"))]
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    zygotes = [content.zygote_pid for _, content in run_directory.clusters()]
    pids = {one.pid for one in processes} | {
        pid for zygote in zygotes for pid in (zygote, *(child.pid for child in psutil.Process(zygote).children(recursive=True)))
    }
    print(json.dumps({"places": [str(path) for path in paths], "pids": sorted(pids)}), flush=True)
    if sys.stdin.read().strip() == "whole":
        assert all(nbray.get(ref).tobytes().startswith(secret.encode()) for ref in held)
    nbray.shutdown()


def tune_something(secret: str) -> Path:
    """An experiment, whose directory is returned: its plan is unpickled when it is restored."""
    space = {"text": tune.choice([secret])}
    storage = Path(os.environ["HOME"]) / "experiments"
    storage.mkdir()
    storage.chmod(0o755)  # a folder that is there already is left as it is
    run = tune.RunConfig(name="tried", storage_path=str(storage), verbose=0)
    grid = tune.Tuner(trained, param_space=space, tune_config=tune.TuneConfig(metric="size", mode="max"), run_config=run).fit()
    assert grid[0].checkpoint is not None, grid[0].error
    return Path(grid.experiment_path)


def trained(config: dict[str, str]) -> None:
    """Reports, with a checkpoint."""
    tune.report({"size": len(config["text"])}, checkpoint=tune.Checkpoint.from_dict({"weights": config["text"]}))


@nbray.remote(cache=True)
def kept(text: str) -> str:
    """Its result goes to the disk, its output to a log."""
    print("the secret is", text)
    return text[::-1]


@nbray.remote
def failing(text: str) -> None:
    """Its frames go to the disk."""
    raise ValueError(len(text))


if __name__ == "__main__":
    main()
