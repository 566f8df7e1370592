"""How small a defect the detector on the screen finds, on the Inspect page."""
