"""The picture viewer, in the browser."""
