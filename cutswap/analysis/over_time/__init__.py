"""How a run learnt, state by state: features, class accuracy, PatchCore's heatmaps and AUROC."""
