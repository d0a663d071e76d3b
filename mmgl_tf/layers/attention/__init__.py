"""Attention over channels, parts and the images of a batch."""
