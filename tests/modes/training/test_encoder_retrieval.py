"""--select_by: the best encoder of a pre-training by a search of people held out."""

import dataclasses
import json
from unittest import mock

import numpy as np
import pytest

from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.modes.features import Extractor
from mmgl_tf.modes.training import pretrain
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.retrieval.protocols import evaluate, settings_of
from tests.contracts.cases import case
from tests.real_runs import rows, run


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
def test_it_searches_by_the_encoder_that_is_saved(method):
    """Colorization saves another than it trains: one that knows infrared statistics, too."""
    of = case(method, select_by="mAP")
    model, images = of.model(), of.material
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


def test_the_methods_own_figure_is_the_default():
    of = case("mmgl")
    model = of.model()
    assert not of.material.start(model, 0)
    assert "mAP" not in {figure.name for figure in model.shown}
    assert of.material.score(model) == model.score


def material_with(change):
    """A pre-training's images whose validation samples are what `change` makes of a tuple of them."""
    of = case("mmgl", select_by="mAP")
    splits, stores = of.material.splits, of.material.stores
    held_out = dataclasses.replace(splits.validation, samples=change(splits.validation.samples))
    there = {sample.modality for sample in held_out.samples}
    stores = {key: store for key, store in stores.items() if key[0] == "train" or key[1] in there}
    read = (dataclasses.replace(splits, validation=held_out), stores)
    with mock.patch.object(pretrain, "read_data", return_value=read):
        return pretrain.Images(of.config, Distribution("none"))


@pytest.mark.parametrize("kept", [(), (VISIBLE,), (INFRARED,)])
def test_nobody_to_search_for_is_refused(kept):
    """Nobody held out at all, or of one modality alone."""
    with pytest.raises(ValueError, match=r"--select_by=mAP searches .*both are needed\. Hold some out with"):
        material_with(lambda samples: tuple(s for s in samples if s.modality in kept))


def test_people_without_names_are_refused():
    with pytest.raises(ValueError, match=r"of .* validation images have no identity; --select_by=mAP needs"):
        material_with(lambda samples: tuple(dataclasses.replace(s, identity=None) for s in samples))


@pytest.mark.slow
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
