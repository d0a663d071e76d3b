"""Image files -> decoded, resized arrays: the cache, and what cannot be read."""
