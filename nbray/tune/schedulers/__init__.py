"""Schedulers: what decides, report by report, which trials go on."""
