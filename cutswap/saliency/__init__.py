"""LayerCAM maps at several depths, their fusion, their cache, and their clusters."""
