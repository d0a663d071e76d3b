"""Which images meet in a step, and how they reach the trainer."""
