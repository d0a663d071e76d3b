"""Pre-training and fine-tuning: from a configuration to a finished run."""
