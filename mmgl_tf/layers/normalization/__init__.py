"""Batch normalisation: its kernels, its statistics across replicas, and its frozen form."""
