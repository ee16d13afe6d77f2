"""The Trainer of the founding article: a tuning or a training in one call."""
