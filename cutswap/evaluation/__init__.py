"""Scores of a test set: AUROC, AUPRO, thresholds, missed defects; ours and other detectors."""
