"""Figures to take home: a grid of pictures, print size, and files that say how they were made."""
