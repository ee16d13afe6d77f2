"""The scheduler: a pure state machine that assigns tasks to workers and accounts for resources and objects."""
