"""Grids of two knobs, and figures to take home: print-size PNG, data, settings, link."""
