"""Photos of a category: folder layouts, decoding, checks, downloads, the rendered demo set."""
