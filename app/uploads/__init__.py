"""Pictures a visitor uploads: decoded, checked, kept as a data set of their own."""
