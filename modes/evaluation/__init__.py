"""Looking at what was trained: retrieval figures and pictures."""
