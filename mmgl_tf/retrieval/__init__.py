"""From embeddings to numbers: who was found among whom, by which published protocol. NumPy and SciPy only."""
