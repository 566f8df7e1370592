"""Behind the Study page."""
