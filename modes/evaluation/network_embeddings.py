"""What pictures of retrieval are drawn from: one network's embeddings of the test images, and the images."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from mmgl_tf.modes.features import extractor
from mmgl_tf.modes.model import build_embedder
from mmgl_tf.modes.saved_run import load_embedder, run_settings, start_encoders
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE


@dataclass(frozen=True)
class EvaluationImages:
    """The test images of a data set, each modality in its store's order without skipped images.

    Attributes:
        stores: {modality: ImageStore}.
        samples: {modality: the usable images' samples}.
        query: modality of the query split.
        name: what they are, for captions.
    """

    stores: dict
    samples: dict
    query: int
    name: str

    @classmethod
    def of(cls, splits, stores):
        """From `read_splits` and `open_stores` of query and gallery."""
        found, samples, query = {}, {}, VISIBLE
        for split in (splits.query, splits.gallery):
            (modality,) = {sample.modality for sample in split.samples}
            query = modality if split is splits.query else query
            store = stores[split.name, modality]
            every = split.of_modality(modality)
            found[modality] = store
            samples[modality] = tuple(every[position] for position in store.usable.tolist())
        directory = Path(splits.root).name
        where = "" if directory == splits.name else f" ({directory})"
        return cls(found, samples, query, f"Test people of {splits.name}{where}")

    @property
    def gallery(self):
        """Modality of the gallery split."""
        return INFRARED if self.query == VISIBLE else VISIBLE

    def pixels(self, modality, index):
        """uint8 [H, W, 3] of the usable image number `index`."""
        image = self.stores[modality][int(self.stores[modality].usable[index])]
        return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else np.asarray(image)


@dataclass(frozen=True)
class NetworkEmbeddings:
    """One network's view of the test images.

    Attributes:
        name: of the run, for legends.
        embedder: `PooledEncoder`, e.g. a fine-tuning's `Embedder`.
        feature: one of the embedder's `FEATURES`.
        weights: "best", "last" or "first".
        found: {modality: LabelledFeatures}.
    """

    name: str
    embedder: object
    feature: str
    weights: str
    found: dict

    def feature_maps(self, images, modality, indices):
        """float32 [n, h, w, C] of some images."""
        batch = np.stack([normalise(tf.cast(images.pixels(modality, i), tf.float32)) for i in indices])
        found = self.embedder.feature_map({MODALITIES[modality]: tf.constant(batch)})
        return tf.cast(found, tf.float32).numpy()


def embed_images(name, embedder, feature, weights, images, config):
    """Embed all test images.

    Args:
        name, embedder, feature, weights: of the `NetworkEmbeddings`.
        images: `EvaluationImages`.
        config: `mmgl_tf.flags.config.Config`, for the batch size and --flip.

    Returns:
        `NetworkEmbeddings`.
    """
    extract = extractor(embedder, config)
    found = {}
    for modality, store in images.stores.items():
        by_position = dict(zip(store.usable.tolist(), images.samples[modality], strict=True))
        samples = [by_position.get(position) for position in range(len(store))]
        found[modality] = extract(store, samples, modality)[feature]
    return NetworkEmbeddings(name, embedder, feature, weights, found)


def embeddings_of_run(config, name, images):
    """The weights that --init_weights names, of the run that --init names."""
    which = config.finetuning.init_weights
    loaded = load_embedder(config, which)
    if loaded is None:
        which = "last"
        loaded = load_embedder(config, which)
    embedder, _ = loaded
    return embed_images(name, embedder, embedder.FEATURES[0], which, images, config)


def embeddings_before_training(config, images):
    """The network that a fine-tuning started from, before any layer of the method was trained; else None."""
    settings = run_settings(config.finetuning.init)
    if settings.get("mode") != "finetune":
        return None
    options = replace(
        config.finetuning,
        init=settings["init"],
        init_weights=settings.get("init_weights", "best"),
        stem_from=settings.get("stem_from", ""),
    )
    embedder = build_embedder(config)
    try:
        start_encoders(embedder, replace(config, finetuning=options))
    except ValueError as error:
        print(f"the start of {config.finetuning.init} is not there any more, so it is not shown ({error})")
        return None
    title = "random initialisation" if settings["init"] == "random" else "pre-trained, before fine-tuning"
    plain = embedder.before_training()
    return embed_images(title, plain, plain.START_FEATURE, "first", images, config)
