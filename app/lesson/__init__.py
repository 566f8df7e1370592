"""Behind the Lesson page: steps with one live picture, one thing to do and one question each."""
