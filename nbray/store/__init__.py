"""The store: one nameless arena of shared memory, its extents, and who still needs them."""
