"""InTra (Pirnay and Chai 2021): hidden patches are painted; what is painted otherwise is odd."""
