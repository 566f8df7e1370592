"""PatchCore: patch embeddings, coreset, memory bank, nearest neighbours, heatmaps."""
