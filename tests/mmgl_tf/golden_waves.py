"""Inputs of golden numbers that need no random generator."""

import numpy as np


def waves(rows, columns, phase):
    """float32 [rows, columns]: sin(0.37 k + phase) along all entries k, plus 0.1 a row, modulo 1."""
    i, j = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    return (np.sin(0.37 * (i * columns + j) + phase) + (0.1 * i) % 1).astype("float32")


FEATURES = waves(12, 16, 0)
IDENTITIES = np.arange(12) // 4
MODALITY_CODES = np.arange(12) % 2
LOGITS, OTHER_LOGITS = 2 * waves(12, 5, 0.5), 2 * waves(12, 5, 1.3)
