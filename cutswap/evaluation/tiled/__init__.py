"""Evaluations of photos that are cut into tiles, one photo in memory at a time."""
