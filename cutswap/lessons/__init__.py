"""Lessons that people walk through: what a step is, and the Markdown files they are written in."""
