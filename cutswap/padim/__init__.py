"""PaDiM: a gaussian of good photos' features at every place, and how far a photo's are from it."""
