"""Colours as classes: bins of the ab plane, their prior, and the loss."""
