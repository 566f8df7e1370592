"""From scores to verdicts: a threshold from good photos, and photos that come in."""
