"""The pictures of a few people, with what each picture was given instead of its pixels."""

import dataclasses

import numpy as np

import mmgl_tf.modes.evaluation.retrieval_pictures as drawn
from mmgl_tf.modes.evaluation.evaluation_rules import evaluation_rules
from mmgl_tf.modes.evaluation.network_embeddings import EvaluationImages, embed_images
from mmgl_tf.modes.evaluation.retrieval_pictures import RetrievalPictures
from mmgl_tf.pipelines.readers.sysu import PROTOCOL as SYSU
from mmgl_tf.pipelines.records import MODALITIES
from tests.modes.plain_embedder import PlainEmbedder
from tests.modes.small_run import settings

PICTURES = ("embedding_map", "match_curves", "ranked_lists", "activation_maps", "write_projector")


class Scene:
    """`RetrievalPictures` whose drawing functions only note in `given` what they are called with.

    Args:
        root: directory for what is written.
        monkeypatch: pytest's.
        people: {protocol name: (splits, stores, images by their pixels)}.
        protocol: which of them, or a changed one of its name.
        **changes: of the settings.
    """

    def __init__(self, root, monkeypatch, people, protocol=SYSU, **changes):
        self.given = {}
        for name in PICTURES:
            monkeypatch.setattr(drawn, name, self.note(name))
        self.config = settings(seed=6, dataset=protocol.name, **changes)
        splits, stores, self.known = people[protocol.name]
        query, gallery = (
            dataclasses.replace(split, protocol=protocol) for split in (splits.query, splits.gallery)
        )
        self.splits = dataclasses.replace(splits, query=query, gallery=gallery)
        self.images = EvaluationImages.of(self.splits, stores)
        self.protocol, self.rules = evaluation_rules(self.config, self.splits)
        self.pictures = RetrievalPictures(self.config, self.images, self.protocol, self.rules, root / "out")

    def note(self, name):
        """A function to put in the place of a drawing function."""

        def call(*args, **options):
            self.given[name] = (args, options)
            return np.zeros((8, 8, 3), np.uint8)

        return call

    def network(self, name="run", strength=1.0, weights="best"):
        """What a `PlainEmbedder` sees."""
        return embed_images(name, PlainEmbedder(strength), "neck", weights, self.images, self.config)

    def sample(self, pixels):
        """Whose image it is, told by its pixels."""
        return self.known[np.ascontiguousarray(pixels).tobytes()]

    def caption(self, pixels):
        """The text that belongs below an image."""
        sample = self.sample(pixels)
        return f"person {sample.identity}" + (f"\ncamera {sample.camera}" if sample.camera else "")


def by_hand(sample, splits, known, embedder):
    """Samples of all gallery images by falling similarity to a query, without cameras it never sees."""
    pixels = {found.path: np.frombuffer(key, np.uint8).reshape(96, 48, 3) for key, found in known.items()}
    vector = embedder.by_hand(pixels[sample.path], MODALITIES[sample.modality])
    ranked = []
    for other in splits.gallery.samples:
        if other.path not in pixels:
            continue
        if other.camera in splits.query.protocol.excluded_cameras.get(sample.camera, ()):
            continue
        far = -float(embedder.by_hand(pixels[other.path], MODALITIES[other.modality]) @ vector)
        ranked.append((far, other))
    return [other for _, other in sorted(ranked, key=lambda pair: pair[0])]
