"""Layers of the method and the backbones, one idea a file; they know no loss."""
