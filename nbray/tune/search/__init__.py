"""Searchers: what suggests the configurations that are tried."""
