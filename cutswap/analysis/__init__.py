"""What a network has learnt, and how good the negatives are."""
