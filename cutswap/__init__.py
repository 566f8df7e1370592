"""CutSwap."""
