"""Cells of settings x categories x seeds, on processes or a cluster."""
