"""Storms: real clusters under faults, with a ledger of every attempt outside of them, and a verdict on what was promised.

    controller ──starts──> notebook (stand-in or a real kernel) ──> cluster: zygote, scheduler process, workers
        │  │                   │ journal: what was submitted, how it ended          │ ledger: each attempt's begin and end
        │  └──signals, limits, full disks──────────────────────────────────────────>│
        └──reads ledger, journal and its own log of faults──> verdict, a table

`mix`, `faults`, `ledger` and `verdict` are pure; `python -m tests.storm --help` says how to start one.
"""
