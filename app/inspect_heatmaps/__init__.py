"""Behind the Inspect page."""
