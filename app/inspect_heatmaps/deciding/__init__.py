"""From scores to a decision on Inspect: a threshold from good photos alone, and feedback."""
