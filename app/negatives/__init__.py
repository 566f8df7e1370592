"""Behind the Negatives page."""
