"""Losses of labelled identities: what fine-tuning minimises."""
