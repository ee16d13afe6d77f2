"""Two users at once: one keeps things where nbray keeps them, the other puts links and folders of his own in the way.

    python -m tests.security.racing ROUNDS          as root, who can become both; prints what came of it

The folder for temporary files is shared and sticky, as /tmp is. The one for caches is open to everybody, as one that a careless
umask made: what is there can be moved away, but nothing that is kept may be read, and nothing that was planted may be run.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from nbray.engine import run_directory, spill_directory
from nbray.errors import StartFailed, UsageError
from nbray.notebook import history_file
from nbray.notebook.manifest import Manifest
from nbray.result_cache import ResultCache, default_directory, new_head

VICTIM, ATTACKER = 54_322, 54_321
SECRET = "a-secret-that-nobody-else-may-read-51c2"
ROOT = Path(__file__).parents[2]
HEAD = new_head("kept", 1.0, (), ())
ADVICE = "is not a directory that only you can enter: remove it, or set XDG_RUNTIME_DIR"
OTHER_ADVICE = "reading what others keep there would run their code: remove it, or point XDG_CACHE_HOME"


def main() -> None:
    """Run both, or be one of them."""
    if len(sys.argv) == 2:
        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            for what, count in race(Path(name), int(sys.argv[1])).items():
                print(f"{what:<60} {count:>8}")
        return
    role, folder = sys.argv[1], Path(sys.argv[2])
    os.umask(0)
    os.chdir("/")
    os.setgroups([])
    uid = VICTIM if role == "victim" else ATTACKER
    os.setgid(uid)
    os.setuid(uid)
    print(json.dumps(_keep(folder, int(sys.argv[3])) if role == "victim" else _disturb(folder)), flush=True)


def race(folder: Path, rounds: int) -> dict[str, int]:
    """What happened, counted; `folder` is empty, and can be entered by everybody."""
    folder.chmod(0o755)
    for name, mode in (("tmp", 0o1777), ("cache", 0o777), ("loot", 0o777), ("home", 0o777)):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
    os.chown(folder / "loot", ATTACKER, ATTACKER)
    attacker, victim = _start("attacker", folder), _start("victim", folder, str(rounds))
    kept = json.loads(victim.communicate()[0])
    found = json.loads(attacker.communicate("enough")[0])
    assert (victim.returncode, attacker.returncode) == (0, 0)
    counts: dict[str, int] = {**kept, **found}
    counts["bytes of the victim's secret that lie open to others"] = sum(map(_open_secrets, folder.rglob("*")))
    counts["run directories inside the attacker's folder"] = len(list((folder / "loot").glob("nbray-*")))
    return counts


def _start(role: str, folder: Path, *more: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("XDG_RUNTIME_DIR", "JUPYTER_RUNTIME_DIR")}
    environment |= {
        "TMPDIR": str(folder / "tmp"), "XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder / "home"),
        "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.security.racing", role, str(folder), *more]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def _open_secrets(path: Path) -> int:
    if path.is_symlink() or not path.is_file():
        return 0
    inside = len(SECRET) * path.read_bytes().count(SECRET.encode())
    closed = path.stat().st_uid == VICTIM and not path.stat().st_mode & 0o077
    return 0 if closed else inside


# -------------------------------------------------------------------- the one


def _keep(folder: Path, rounds: int) -> Counter[str]:
    counts: Counter[str] = Counter({"run directories": 0, "run directories refused": 0, "results kept": 0, "results refused": 0})
    for number in range(rounds):
        _make_run_directory(f"{number:08x}", counts)
        _keep_result(counts)
        _spill(folder, number, counts)
        history_file.HistoryFile(folder / "cache" / "nbray" / "history", "a.ipynb").append(
            Manifest(cell_run="c", number=number, notebook="a.ipynb", began=1.0, how="remote", line=SECRET)
        )
    return counts


def _content(epoch: str) -> run_directory.ClusterFile:
    return run_directory.ClusterFile(epoch, SECRET, os.getpid(), 1.0, run_directory.machine(), 1)


def _make_run_directory(epoch: str, counts: Counter[str]) -> None:
    try:
        directory = run_directory.parent() / f"{run_directory.PREFIX}{epoch}"
    except StartFailed as error:
        counts["run directories refused" if ADVICE in str(error) else "refused without advice"] += 1
        return
    run_directory.create(directory, _content(epoch))
    counts["run directories"] += 1
    run_directory.remove(directory)
    with contextlib.suppress(OSError):  # so that the next one is made anew, and raced for
        directory.parent.rmdir()


def _keep_result(counts: Counter[str]) -> None:
    try:
        cache = ResultCache(default_directory())
        counts["results kept" if cache.keep("key", SECRET, HEAD) == "" else "results refused"] += 1
        found = cache.find("key")
    except UsageError as error:
        counts["results refused" if OTHER_ADVICE in str(error) else "refused without advice"] += 1
        return
    counts["planted results that were taken"] += found is not None and found.value != SECRET


def _spill(folder: Path, number: int, counts: Counter[str]) -> None:
    run = folder / "home" / f"run-{number}"
    run.mkdir(mode=0o700)
    run_directory.write(run, _content(f"{number:08x}"))
    try:
        descriptor = spill_directory.create(folder / "cache" / "nbray" / f"spill-{number:08x}", run)
    except OSError:
        counts["spill directories refused"] += 1
        return
    counts["spill directories"] += 1
    file = os.open("object", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=descriptor)
    os.write(file, SECRET.encode())
    os.close(file)
    os.close(descriptor)


# -------------------------------------------------------------------- the other


def _disturb(folder: Path) -> Counter[str]:
    """Until standard input ends."""
    counts: Counter[str] = Counter({"attempts": 0, "secrets read": 0})
    os.set_blocking(0, False)
    _plant(folder / "loot")
    while _waits():
        for place in (folder / "tmp" / f"nbray-{VICTIM}", folder / "cache" / "nbray", folder / "cache" / "nbray" / "results"):
            for put in (_link, _folder):
                counts["attempts"] += 1
                with contextlib.suppress(OSError):
                    place.rename(place.with_name(f"aside-{counts['attempts']}"))
                with contextlib.suppress(OSError):
                    put(place, folder / "loot")
                counts["secrets read"] += _reads(place) + _reads(folder / "loot")
                with contextlib.suppress(OSError):
                    place.unlink()
                with contextlib.suppress(OSError):
                    place.rmdir()
    return counts


def _plant(loot: Path) -> None:
    """A result as the victim would find it, in a folder that is open to everybody."""
    (loot / "results").mkdir()
    assert ResultCache(loot / "results").keep("key", "planted", HEAD) == ""
    for path in (loot, *loot.rglob("*")):
        path.chmod(0o777)


def _waits() -> bool:
    try:
        return os.read(0, 1) is None
    except BlockingIOError:
        return True


def _link(place: Path, loot: Path) -> None:
    place.symlink_to(loot)


def _folder(place: Path, loot: Path) -> None:
    place.mkdir(mode=0o777)


def _reads(place: Path) -> int:
    found = 0
    for inside, _, names in os.walk(place):
        for name in names:
            with contextlib.suppress(OSError):
                found += SECRET.encode() in Path(inside, name).read_bytes()
    return found


if __name__ == "__main__":
    main()
