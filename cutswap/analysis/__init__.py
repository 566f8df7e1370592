"""Measure what fine-tuning changed in the features, and how good negatives are."""
