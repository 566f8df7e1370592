"""Fine-tuning a network to tell positives from negatives."""
