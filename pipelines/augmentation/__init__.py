"""What happens to a training image on the fly: an operation a file."""
