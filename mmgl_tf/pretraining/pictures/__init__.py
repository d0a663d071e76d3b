"""What a pre-training method shows of itself, a picture a file."""
