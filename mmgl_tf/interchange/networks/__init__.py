"""Networks of PyTorch's world, a family a file: how it is recognised, and where its tensors belong."""
