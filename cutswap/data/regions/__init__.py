"""Where to look: a mask by category, of which nothing outside is learnt from or scored."""
