"""Evaluations as a table, beside the numbers the paper prints."""
