"""What may happen to a training image, an operation a file."""
