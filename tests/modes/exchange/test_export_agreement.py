"""What agrees with the trained network, and what does not."""

import numpy as np
import pytest

from mmgl_tf.modes.exchange import export_agreement
from mmgl_tf.modes.exchange.export_examples import drawn_examples
from mmgl_tf.pipelines.decode import normalise
from tests.mmgl_tf.serving.trained_embedder import trained_embedder


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "change",
    [lambda values: values[::-1], lambda values: values * np.nan, lambda values: -values],
    ids=["rows swapped", "not a number", "the other way"],
)
def test_what_disagrees(monkeypatch, precision, change):
    embedder, examples = trained_embedder(), drawn_examples()
    _, right = export_agreement.expected_embeddings(embedder, "neck", examples, (96, 48))
    assert np.min(right @ right.T) > 0.9, "rows that are nearly alike, as after little training"

    def answer(values):
        found = {"serving_default": right, "serving_images": values, "warmed_up": 6}
        monkeypatch.setattr(export_agreement, "embed_in_fresh_process", lambda *_: found)
        return export_agreement.agreement("", embedder, "neck", examples, (96, 48), precision, 8)

    assert "6 warm-up requests" in answer(right)
    with pytest.raises(ValueError, match="does not agree"):
        answer(change(right))


def test_bfloat16_must_keep_what_tells_images_apart(monkeypatch):
    """All embeddings of a network may point nearly the same way; a cosine alone would let anything pass."""
    dice = np.random.default_rng(0)
    right = (dice.normal(size=256) + 0.05 * dice.normal(size=(8, 256))).astype(np.float32)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    monkeypatch.setattr(export_agreement, "expected_embeddings", lambda *_: (np.zeros((8, 96, 48, 3)), right))

    def judge(values):
        found = {"serving_default": values, "warmed_up": 0}
        monkeypatch.setattr(export_agreement, "embed_in_fresh_process", lambda *_: found)
        return export_agreement.agreement("", None, "neck", drawn_examples(), (96, 48), "bfloat16", 8)

    assert "1% of the distance" in judge(right + 0.01 * (right[::-1] - right))
    with pytest.raises(ValueError, match=r"smallest cosine 0\.99"):
        judge(right[::-1])
    with pytest.raises(ValueError, match="22% of the distance"):
        judge(right + 0.2 * (np.roll(right, 1, axis=0) - right))


def test_the_expected_embeddings_are_the_unfolded_networks():
    embedder = trained_embedder()
    examples = drawn_examples()
    pixels, expected = export_agreement.expected_embeddings(embedder, "pool", examples, (96, 48))
    assert pixels.shape == (len(examples.encoded), 96, 48, 3)
    for row, code in enumerate(examples.modality):
        name = ("visible", "infrared")[code]
        alone = embedder.embed({name: normalise(pixels[row : row + 1])})["pool"][0]
        np.testing.assert_allclose(expected[row], alone, atol=1e-5)
