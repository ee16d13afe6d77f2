"""Tune: tries many configurations of a function, drops the poor ones early, and tells the best."""
