"""Behind the Train page."""
