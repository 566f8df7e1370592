"""Behind the Features page."""
