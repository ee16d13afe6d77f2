"""Kills of the processes around a cluster at random moments, and what is left of it two seconds later: nothing.

    python -m tests.orphans --rounds 500

    rounds.py       one round: a notebook of its own folders is started, something of it is killed, and it is looked for the rest
    victim.py       the notebook: a cluster whose tasks hold what is hard to end
    escapes.py      those processes: they ignore SIGTERM, have sessions of their own, bear no mark, are stopped
    leftovers.py    what could be left: processes, descriptors of shared memory, names, files, sockets
"""
