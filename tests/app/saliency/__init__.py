"""Tests of the Saliency page."""
