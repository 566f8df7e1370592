"""Tests of where to look."""
