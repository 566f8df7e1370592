"""Backbones with named layers, their weights, distilling small ones and exporting them."""
