"""Models in and out: SavedModels, checkpoints of PyTorch's world."""
