"""Defects painted by hand: strokes as plain records, their rendering, and their text in a link."""
