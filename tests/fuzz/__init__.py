"""Hostile bytes for everything of nbray that reads bytes: `python -m tests.fuzz --help`."""
