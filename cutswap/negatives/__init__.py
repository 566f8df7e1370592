"""Negatives: anchors, patches, colours, painting, the record that paints them again."""
