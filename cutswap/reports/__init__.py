"""Reports in one HTML file each: the page they share, and what an evaluation came to."""
