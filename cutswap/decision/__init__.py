"""From scores to verdicts: thresholds from good photos, incoming photos, exported detectors."""
