"""What retrieval works on: embeddings with the identity and the camera of each."""

from dataclasses import dataclass

import numpy as np

UNIT_TOLERANCE = 1e-2  # of the squared length; float32 sums over 2048 values stay far below


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """Embeddings of one split, in the split's order.

    Attributes:
        features: float32 [n, D], rows of unit length; a row of zeros (an encoder that gave nothing) may
            stand and is equally far from everything.
        identities: int64 [n].
        cameras: int64 [n], -1 where unknown.
        lengths: None, or float32 [n], how long the rows were before they were scaled: they are then compared
            by the Euclidean distance that they had, not by their cosine.

    Raises:
        ValueError: shapes do not agree, labels are no integers, or rows are neither of unit length nor zero.
    """

    features: np.ndarray
    identities: np.ndarray
    cameras: np.ndarray
    lengths: np.ndarray | None = None

    def __post_init__(self):
        features = np.asarray(self.features, np.float32)
        if features.ndim != 2:
            raise ValueError(
                f"features have shape {features.shape}; expected [n, D], one row per image. "
                "Pool the feature maps first."
            )
        object.__setattr__(self, "features", features)
        for name in ("identities", "cameras"):
            labels = np.asarray(getattr(self, name))
            if labels.shape != (len(features),) or (labels.size and labels.dtype.kind not in "iu"):
                raise ValueError(
                    f"{name} are {labels.dtype} of shape {labels.shape}; expected {len(features)} integers, "
                    "one for each row of features. Write -1 for an unknown camera."
                )
            object.__setattr__(self, name, labels.astype(np.int64))
        if self.lengths is not None:
            lengths = np.asarray(self.lengths, np.float32)
            if lengths.shape != (len(features),) or (lengths < 0).any():
                raise ValueError(
                    f"lengths have shape {lengths.shape}; expected {len(features)} numbers of at least 0, "
                    "one for each row of features."
                )
            object.__setattr__(self, "lengths", lengths)
        squares = np.einsum("nd,nd->n", features, features)
        wrong = np.flatnonzero(~((np.abs(squares - 1) <= UNIT_TOLERANCE) | (squares == 0)))
        if len(wrong):
            raise ValueError(
                f"{len(wrong)} of {len(features)} rows of features are not of unit length (row {wrong[0]} "
                f"has squared length {squares[wrong[0]]:.6g}). Divide each row by its length; if that is no "
                "number, the network diverged."
            )

    def __len__(self):
        return len(self.features)

    def take(self, indices) -> "LabelledFeatures":
        """The images at `indices` (int [m]), in that order."""
        lengths = None if self.lengths is None else self.lengths[indices]
        labels = self.identities[indices], self.cameras[indices]
        return LabelledFeatures(self.features[indices], *labels, lengths)
