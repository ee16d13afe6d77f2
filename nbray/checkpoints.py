"""Checkpoints: directories that hold what a training needs to go on from where it was."""
