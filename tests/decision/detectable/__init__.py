"""How small a defect a detector finds."""
