"""Behind the Start page."""
