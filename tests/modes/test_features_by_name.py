"""A method with three features of different sizes, none called neck: everything asks its embedder."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.finetuning.base import FinetuningModel
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck
from mmgl_tf.modes.evaluation.evaluate import evaluate
from mmgl_tf.modes.evaluation.network_embeddings import (
    EvaluationImages,
    embeddings_before_training,
    embeddings_of_run,
)
from mmgl_tf.modes.exchange import export_agreement
from mmgl_tf.modes.exchange.export import export
from mmgl_tf.modes.exchange.export_examples import drawn_examples
from mmgl_tf.modes.features import Extractor
from mmgl_tf.modes.model import build_embedder
from mmgl_tf.modes.reading import open_stores, read_splits
from mmgl_tf.modes.saved_run import run_settings
from mmgl_tf.modes.search.embed_source import open_source
from mmgl_tf.pipelines.decode import decode_image, normalise
from mmgl_tf.pipelines.records import VISIBLE
from mmgl_tf.serving.drawn_images import drawn_images
from mmgl_tf.serving.predictor import Predictor
from tests.modes.small_run import settings, write_run
from tests.pipelines.fake_store import FakeStore

SIZES = {"attention": 24, "rows": 6 * 256, "pool": 256}


class ThreeFeatures(Embedder):
    """A layer of its own with a batch norm behind it, the feature map's rows side by side, and the pool."""

    FEATURES = tuple(SIZES)

    def __init__(self, encoder, seed=0):
        super().__init__(encoder, seed=seed)
        initializer = keras.initializers.RandomNormal(seed=seed)
        self.attention = keras.layers.Dense(24, kernel_initializer=initializer, dtype="float32")
        self.norm = BatchNormNeck(seed=seed, name="norm")

    @property
    def feature_sizes(self):
        return SIZES

    def build_from(self, height, width):
        super().build_from(height, width)
        self.attention.build((None, 256))
        self.norm.build((None, 24))

    def call(self, images, training=False):
        found = self.feature_map(images, training)
        attention = self.norm(self.attend(found), training=training)
        # In another order than FEATURES on purpose.
        return {"pool": self.pool(found), "attention": attention, "rows": self.rows(found)}

    def attend(self, feature_map):
        return self.attention(self.pool(feature_map))

    def rows(self, feature_map):
        means = tf.reduce_mean(tf.cast(feature_map, tf.float32), axis=2)
        return tf.reshape(means, (-1, SIZES["rows"]))

    def head(self, feature):
        heads = {"attention": (self.attend, self.norm), "rows": (self.rows, None), "pool": (self.pool, None)}
        return heads[feature]


class Method(FinetuningModel):
    EMBEDDER = ThreeFeatures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A fine-tuned run of the method, and its embedder with the last weights."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FINETUNING, "two_stream", Method)  # its settings will do
        config = settings(method="two_stream", dataset="synthetic", cache_dir=str(root / "cache"), seed=3)
        yield root / "run", write_run(root / "run", config, embedders=("last",), steps=8)["embedder_last"]


def looking_at(run, mode, **typed):
    return settings(**{**run_settings(run[0]), "mode": mode, "init": str(run[0]), **typed})


def test_each_feature_is_extracted_at_its_own_size(run):
    store = FakeStore(3, height=96)
    store.images = np.tile(store.images, (1, 1, 48 // store.images.shape[2], 1))[:, :, :48]
    samples = read_splits(looking_at(run, "eval")).query.samples[:3]
    found = Extractor(run[1], batch_size=2)(store, samples, VISIBLE)
    assert {name: value.features.shape for name, value in found.items()} == {
        name: (3, size) for name, size in SIZES.items()
    }


def test_the_table_lists_them_in_the_methods_order(run, tmp_path, capsys):
    results = evaluate(looking_at(run, "eval", workdir=str(tmp_path / "eval")))
    assert list(dict.fromkeys(cell["feature"] for cell in results["cells"])) == list(SIZES)
    printed = capsys.readouterr().out
    assert printed.index("attention ") < printed.index("rows ") < printed.index("pool ")


def test_pictures_show_the_first_and_the_start_by_what_was_not_trained_yet(run):
    config = looking_at(run, "visualize")
    splits = read_splits(config)
    images = EvaluationImages.of(splits, open_stores(config.data, splits, ("query", "gallery")))
    shown, before = embeddings_of_run(config, "run", images), embeddings_before_training(config, images)
    assert (shown.feature, before.feature) == ("attention", "pool")
    assert {found.features.shape[1] for found in shown.found.values()} == {24}
    assert {found.features.shape[1] for found in before.found.values()} == {256}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "served"),
    [("auto", "attention"), ("rows", "rows"), ("pool", "pool")],
)
def test_any_of_them_can_be_exported_and_embedded_with(run, tmp_path, monkeypatch, asked, served):
    def answer(directory, encoded, images, modality, batch_size):
        return {"serving_default": Predictor(directory, batch_size).embed(encoded, modality), "warmed_up": 0}

    monkeypatch.setattr(export_agreement, "embed_in_fresh_process", answer)
    typed = {"export_feature": asked, "skip_metrics": True, "serving_batch_sizes": "1"}
    export(looking_at(run, "export", workdir=str(tmp_path / "export"), **typed))
    version = tmp_path / "export" / "mmgl" / "1"
    facts = json.loads((version / "model.json").read_text())
    assert (facts["feature"], facts["num_features"]) == (served, SIZES[served])
    card = (version / "model_card.md").read_text()
    assert f"`embedding`, float32 [B, {SIZES[served]}]" in card and f"(the {served} feature)" in card
    examples = drawn_examples()
    found = Predictor(version).embed(examples.encoded, examples.modality)
    for content, code, row in zip(examples.encoded, examples.modality, found, strict=True):
        image = normalise(decode_image(content, 96, 48)[None])
        expected = run[1].embed({("visible", "infrared")[code]: image})[served][0]
        np.testing.assert_allclose(row, expected, atol=2e-5)
    source = open_source(looking_at(run, "embed", export_feature=asked))
    assert (source.num_features, source.facts["feature"]) == (SIZES[served], served)
    embedded = source.embed(drawn_images(2), [0, 1])
    assert embedded.shape == (2, SIZES[served])


@pytest.mark.parametrize("mode", ["export", "embed"])
def test_a_feature_that_the_run_has_not_is_refused_with_those_it_has(run, tmp_path, mode):
    config = looking_at(run, mode, export_feature="neck", workdir=str(tmp_path / "out"))
    expected = (
        r"--export_feature=neck, but .*run has attention \(24 values\), rows \(1536 values\), pool "
        r"\(256 values\); give one of these, or leave the flag out for attention"
    )
    with pytest.raises(ValueError, match=expected):
        export(config) if mode == "export" else open_source(config)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", FINETUNING)
def test_an_embedder_gives_the_features_that_its_class_names(run, method):
    embedder = build_embedder(settings(method=method))
    found = embedder.embed({"visible": tf.zeros((1, 96, 48, 3))})
    assert {name: value.shape[1] for name, value in found.items()} == embedder.feature_sizes
    assert tuple(embedder.feature_sizes) == FINETUNING[method].EMBEDDER.FEATURES
    assert embedder.START_FEATURE in embedder.FEATURES
    for feature in embedder.FEATURES:
        embedder.head(feature)
