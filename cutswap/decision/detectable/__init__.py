"""How small a defect a detector finds: painted defects, probability of detection, blind spots."""
