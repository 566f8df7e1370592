"""Photos that are cut into tiles: where those lie, and a bank of them."""
