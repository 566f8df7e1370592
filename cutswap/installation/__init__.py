"""What came with the program, and what has not."""
