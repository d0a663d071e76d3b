"""The model that embeds: a run's network or an exported model, behind one interface.

A run is used as --mode=export would export it (--export_weights, --export_feature, --export_precision), so
that its embeddings are those of the exported model.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from mmgl_tf.flags.reading import is_saved_model
from mmgl_tf.modes.identity import built_in
from mmgl_tf.modes.model import prepare
from mmgl_tf.modes.saved_run import is_finetuned, load_embedder, served_feature, weights_file
from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.serving.predictor import Predictor
from mmgl_tf.serving.version_directories import version_directory

_READ = 1 << 20  # bytes hashed at a time


def open_source(config):
    """The model that --init names.

    Args:
        config: `Config`; of the run, where --init names one (`mmgl_tf.flags.reading.configs_of`).

    Returns:
        An object with `facts` (dict for about.json, with a "fingerprint" of the weights), `two_streams`,
        `num_features`, `image_size` (height, width) and `embed(list of encoded images, modality int32 [n]) ->
        float32 [n, D]`, unit length.

    Raises:
        ValueError: there is none.
    """
    return SavedModelSource(config) if is_saved_model(config.finetuning.init) else RunSource(config)


def differing(earlier, now):
    """How two models differ.

    Args:
        earlier, now: `facts` of two sources; either may be of another program version and lack some.

    Returns:
        List of sentences, empty where they are one model, wherever it lies.
    """
    if earlier.get("fingerprint") == now.get("fingerprint"):
        return []
    names = sorted((earlier.keys() | now.keys()) - {"fingerprint"})
    changed = [name for name in names if earlier.get(name) != now.get(name)]
    told = [f"{name}: was {earlier.get(name)}, now {now.get(name)}" for name in changed]
    return told or [f"the weights in {now['path']} were changed"]


class RunSource:
    """The network of a pre-training, fine-tuning or import.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from that run.
    """

    def __init__(self, config):
        export, data = config.export, config.data
        # The precision of the export; training may have had another.
        prepare(replace(config, optimization=replace(config.optimization, precision=export.export_precision)))
        init = config.finetuning.init
        name = "embedder" if is_finetuned(init) else "encoder"
        weights, which = weights_file(init, name, export.export_weights)
        self._embedder, _ = load_embedder(config, which)
        self._feature = feature = served_feature(config, self._embedder)
        self._graphs = {}
        self.image_size, self._resize = (data.image_height, data.image_width), data.resize
        self.num_features = self._embedder.feature_sizes[feature]
        self.two_streams = self._embedder.encoder.stream == "two"
        self.facts = {
            "kind": "run",
            "path": str(Path(config.finetuning.init).resolve()),
            "weights": which,
            "feature": feature,
            "precision": export.export_precision,
            "num_features": self.num_features,
            "backbone": config.network.backbone,
            "streams": self._embedder.encoder.stream,
            "height": data.image_height,
            "width": data.image_width,
        }
        if data.resize != "lanczos":  # else as earlier versions noted it, whose embeddings may be added to
            self.facts["resize"] = data.resize
        decisive = {name: value for name, value in self.facts.items() if name not in ("path", "weights")}
        if is_finetuned(init):  # else these settings mean nothing
            decisive["blocks"] = [config.run.method, *built_in(config)]
        self.facts["fingerprint"] = _model_fingerprint([weights], decisive)

    def embed(self, encoded, modality):
        """Unit-length embeddings, float32 [n, D], of encoded images and their modality codes, int [n]."""
        found = np.empty((len(encoded), self.num_features), np.float32)
        modality = np.asarray(modality)
        for code in np.unique(modality).tolist():
            rows = np.flatnonzero(modality == code)
            graph = self._graph(MODALITIES[code])
            found[rows] = graph(tf.constant([encoded[row] for row in rows])).numpy()
        return found

    def _graph(self, modality):
        """The graph for one modality. Concrete: TensorFlow counts traces by source line and would warn."""
        if modality not in self._graphs:

            def embed(encoded):
                with tf.device("CPU:0"):
                    images = tf.map_fn(
                        lambda one: decode_image(one, *self.image_size, self._resize),
                        encoded,
                        fn_output_signature=tf.TensorSpec((*self.image_size, 3), tf.uint8),
                    )
                return self._embedder.embed({modality: normalise(images)})[self._feature]

            spec = tf.TensorSpec([None], tf.string)
            self._graphs[modality] = tf.function(embed, autograph=False).get_concrete_function(spec)
        return self._graphs[modality]


class SavedModelSource:
    """A model of --mode=export.

    Args:
        config: `Config`; --init is a version's directory, or the model's: then the newest.
    """

    def __init__(self, config):
        directory = version_directory(config.finetuning.init)
        # The version that is found now; a later one is another model.
        self._predictor = Predictor(directory, config.optimization.batch_size)
        info = self._predictor.info
        self.two_streams = info["streams"] == "two"
        self.num_features = info["num_features"]
        self.image_size = (info["height"], info["width"])
        wanted = ("feature", "precision", "num_features", "streams", "height", "width", "weights")
        self.facts = {"kind": "saved_model", "path": str(directory.resolve())}
        self.facts |= {name: info[name] for name in wanted if name in info}
        if info.get("resize", "lanczos") != "lanczos":
            self.facts["resize"] = info["resize"]
        files = [directory / "saved_model.pb", *sorted((directory / "variables").glob("*"))]
        self.facts["fingerprint"] = _model_fingerprint(files, {})

    def embed(self, encoded, modality):
        """Unit-length embeddings, float32 [n, D], of encoded images and their modality codes, int [n]."""
        return np.asarray(self._predictor.embed(encoded, modality), np.float32)


def _model_fingerprint(files, facts):
    """A short text that changes with the content of files and with facts."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in files:
        with open(path, "rb") as file:
            while content := file.read(_READ):
                digest.update(content)
    return digest.hexdigest()[:16]
