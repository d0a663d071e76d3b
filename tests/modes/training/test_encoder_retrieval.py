"""--select_by: the best encoder of a pre-training by a search of people held out."""

import dataclasses
import json

import numpy as np
import pytest

from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.modes.features import Extractor
from mmgl_tf.modes.model import build_model
from mmgl_tf.modes.training.pretrain import Images
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.retrieval.protocols import evaluate, settings_of
from tests.modes.small_run import settings
from tests.real_runs import rows, run


@pytest.fixture
def material(tmp_path):
    """A pre-training's images, of a run that is claimed already."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")

    def made(**changes):
        flat = {"cache_dir": str(tmp_path / "cache"), "workdir": str(tmp_path / "run"), "batch_size": 4}
        config = settings(
            "pretrain", **flat | {"select_by": "mAP", "train_ids": "train", "probe_images": 4} | changes
        )
        return Images(config, Distribution("none"))

    return made


def searched(material, encoder):
    """mAP of an encoder by the modes' own extraction and evaluation."""
    embedder = PooledEncoder(encoder)
    embedder.built = True
    extract, split = Extractor(embedder, 7), material.splits.validation
    found = {
        m: extract(material.stores["validation", m], split.of_modality(m), m)["pool"]
        for m in (VISIBLE, INFRARED)
    }
    protocol = material.splits.query.protocol
    search, shots, _ = settings_of(protocol)[0]
    cell = evaluate(found[INFRARED], found[VISIBLE], protocol, search=search, shots=shots)
    return cell.as_dict()["mAP"]["mean"]


@pytest.mark.parametrize("method", ["mmgl", "colorization"])
def test_it_searches_by_the_encoder_that_is_saved(material, method):
    """Colorization saves another than it trains: one that knows infrared statistics, too."""
    images = material(method=method)
    model = build_model(images.config, images.plan)
    assert ("best", "by mAP on validation identities, whose labels are read") in images.start(model, 0)
    assert {"rank1", "mAP", "mINP"} <= {figure.name for figure in model.shown}
    probe = images.probe(model, 0)
    found = probe()
    assert "embedding/std" in found and "validation/rank1" in found
    saved = model.saved_layers()["encoder"]
    assert (saved is model.encoder) == (method == "mmgl")
    assert found["validation/mAP"] == pytest.approx(searched(images, saved), abs=1e-6)
    assert images.score(model)(found) == found["validation/mAP"]
    # New weights of a later step, the same graph.
    model.optimizer.iterations.assign_add(1)
    for variable in model.encoder.trainable_variables:
        variable.assign(variable + 0.1 * np.random.default_rng(1).normal(size=variable.shape))
    after = probe()["validation/mAP"]
    assert after != found["validation/mAP"]
    assert after == pytest.approx(searched(images, model.saved_layers()["encoder"]), abs=1e-6)


def test_the_methods_own_figure_is_the_default(material):
    images = material(select_by="method")
    model = build_model(images.config, images.plan)
    assert not images.start(model, 0)
    assert "validation/mAP" not in images.probe(model, 0)()
    assert images.score(model) == model.score


@pytest.mark.parametrize("of", [VISIBLE, INFRARED, None])
def test_nobody_to_search_for_is_refused(material, monkeypatch, of):
    """Nobody held out at all, or of one modality alone."""
    from mmgl_tf.modes.training import pretrain as module

    def read(config, modalities):
        splits, stores = real(config, modalities)
        held_out = splits.validation
        kept = () if of is None else held_out.of_modality(of)
        splits = dataclasses.replace(splits, validation=dataclasses.replace(held_out, samples=kept))
        return splits, {key: store for key, store in stores.items() if key[0] == "train" or key[1] == of}

    real = module.read_data
    monkeypatch.setattr(module, "read_data", read)
    with pytest.raises(ValueError, match=r"--select_by=mAP searches .*both are needed\. Hold some out with"):
        material()


def test_people_without_names_are_refused(material, monkeypatch):
    from mmgl_tf.modes.training import pretrain as module

    def read(config, modalities):
        splits, stores = real(config, modalities)
        unknown = tuple(dataclasses.replace(s, identity=None) for s in splits.validation.samples)
        held_out = dataclasses.replace(splits.validation, samples=unknown)
        return dataclasses.replace(splits, validation=held_out), stores

    real = module.read_data
    monkeypatch.setattr(module, "read_data", read)
    with pytest.raises(ValueError, match=r"of .* validation images have no identity; --select_by=mAP needs"):
        material()


def test_a_run_keeps_the_epoch_in_which_most_was_found(tmp_path):
    root = tmp_path / "run"
    printed = run(
        tmp_path / "cache",
        "--mode=pretrain",
        "--method=simsiam",
        "--preset=demo",
        *("--world_train_identities=6", "--world_validation_identities=4", "--world_test_identities=2"),
        *("--world_frames=2", "--world_infrared_train_frames=2", "--backbone=resnet10"),
        *("--simsiam_embedding_size=16", "--simsiam_hidden_size=8"),
        *("--batch_size=4", "--steps_per_epoch=2", "--epochs=3", "--warmup_epochs=0", "--probe_images=4"),
        *("--select_by=rank1", f"--workdir={root}"),
    )
    found = [row["validation/rank1"] for row in rows(root)[1:]]
    best = max(range(3), key=lambda epoch: (found[epoch], epoch)) + 1
    assert json.loads((root / "summary.json").read_text())["best_epoch"] == best
    assert f"(best: epoch {best}, by validation rank1)" in printed
    assert "by rank1 on validation identities, whose labels are read" in printed
    assert "Rank-1 on validation identities" in printed
