"""Behind the Data page."""
