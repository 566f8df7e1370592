"""Behind the Saliency page."""
