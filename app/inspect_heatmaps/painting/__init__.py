"""Paint a defect on the photo, and see what the detector says of it."""
