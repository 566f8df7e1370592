"""What several pages use: selection, knobs, caches, jobs, folders."""
