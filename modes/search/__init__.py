"""Embeddings of any images, and who looks like whom."""
