"""Behind the Results page."""
