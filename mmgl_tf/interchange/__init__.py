"""Weights from and for PyTorch's world, without PyTorch: read a file, know its network, fill ours, write."""
