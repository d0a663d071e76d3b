"""One training step: losses, gradient, update, and the state that moves with it."""
