import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import from_flat
from mmgl_tf.modes.training.finetune import LabelledImages
from mmgl_tf.modes.training.validation_retrieval import ValidationRetrieval
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, DatasetSplits, Protocol, Sample, Split
from mmgl_tf.training.guards import Diverged
from tests.pipelines.fake_store import FakeStore

PLAIN = Protocol("plain")
BOTH = Protocol("regdb", directions=("visible_to_infrared", "infrared_to_visible"))
# Who is on the images of each modality; the infrared ones come in another order.
PEOPLE = {VISIBLE: [3, 3, 5, 5, 9], INFRARED: [9, 9, 3, 5]}

MANY = {VISIBLE: [3] * 8 + [5] * 8 + [9] * 8, INFRARED: [9] * 8 + [3] * 8 + [5] * 8}


class Colours:
    """Stands for an embedder: "neck" is the image's mean colours, "pool" is the same for every image."""

    FEATURES = ("neck", "pool")
    broken = False

    def embed(self, images):
        ((_, batch),) = images.items()
        colours = tf.reduce_mean(batch, axis=[1, 2]) + (np.nan if self.broken else 0.0)
        same = tf.ones_like(colours)
        return {"pool": tf.math.l2_normalize(same, axis=1), "neck": tf.math.l2_normalize(colours, axis=1)}


def search(protocol=PLAIN, every=1, total=4, epoch=-1, embedder=None, people=PEOPLE, wrong=()):
    """A search of images whose mean colour is their person's; `wrong` infrared ones show somebody else."""
    colours = {identity: np.eye(3)[number] for number, identity in enumerate((3, 5, 9))}
    stores, samples = {}, []
    for modality, identities in people.items():
        store = FakeStore(len(identities), height=24, seed=modality)
        for number, identity in enumerate(identities):
            shown = wrong[number] if wrong and modality == INFRARED else identity
            store.images[number] = np.uint8(60 + 150 * colours[shown] + 3 * number)
            samples.append(Sample(f"{modality}{number}", identity, None, modality))
        stores["validation", modality] = store
    splits = DatasetSplits(
        "made up", "", validation=Split("validation", tuple(samples)), query=Split("query", (), protocol)
    )
    return ValidationRetrieval(embedder or Colours(), splits, stores, 2, every, total, epoch)


def test_people_are_found_by_the_first_feature():
    figures = search()()
    assert [figures[f"validation/{name}"] for name in ("rank1", "mAP", "mINP")] == [1.0, 1.0, 1.0]
    assert {"embedding/modality_gap", "embedding/compactness", "embedding/d_prime"} <= set(figures)
    assert figures["embedding/positive_similarity"] > figures["embedding/negative_similarity"]
    assert all(isinstance(value, float) for value in figures.values())


@pytest.mark.parametrize(("protocol", "rank1"), [(PLAIN, 0.5), (BOTH, 1.0)])
def test_the_direction_is_the_protocols_first(protocol, rank1):
    """Person 3 looks like 5 on the second infrared image: it fails as a query, harmless in a gallery."""
    people = {VISIBLE: [3, 5], INFRARED: [3, 3]}
    assert search(protocol, people=people, wrong=[3, 5])()["validation/rank1"] == rank1


def test_cameras_rules_and_draws_of_the_protocol_hold():
    """SYSU-MM01's protocol as it is on the validation identities: one image of each person and camera."""
    protocol = Protocol(
        "sysu",
        trials=3,
        gallery_draw="per_identity_and_camera",
        shots=(1, 10),
        gallery_cameras={"all": (1,), "indoor": (1,)},
        excluded_cameras={3: (2,)},
        identity_once=True,
    )
    made = search(protocol)
    made.samples = {
        modality: tuple(dataclasses.replace(s, camera={VISIBLE: 1, INFRARED: 3}[modality]) for s in samples)
        for modality, samples in made.samples.items()
    }
    assert made()["validation/mINP"] == 1.0
    made.samples[VISIBLE] = tuple(dataclasses.replace(s, camera=7) for s in made.samples[VISIBLE])
    with pytest.raises(ValueError, match=r"No image of the gallery is from the cameras \(1,\)"):
        made()


@pytest.mark.parametrize(
    ("every", "total", "epoch", "looked"),
    [
        (1, 3, -1, [True, True, True, True]),  # the untrained network and each epoch
        (2, 5, -1, [True, False, True, False, True, True]),  # the last epoch always
        (2, 5, 2, [False, True, True]),  # resumed after epoch 2: epochs 3, 4, 5
        (10, 3, 0, [False, False, True]),
    ],
)
def test_it_looks_at_every_nth_epoch_and_at_the_last(every, total, epoch, looked):
    made = search(every=every, total=total, epoch=epoch)
    assert [bool(made()) for _ in looked] == looked


def test_embeddings_that_are_not_numbers_are_a_divergence():
    embedder = Colours()
    embedder.broken = True
    with pytest.raises(Diverged, match=r"5 of 5 visible embeddings \((pool|neck)\) are not finite"):
        search(embedder=embedder)()


def test_figures_that_are_not_defined_are_left_out():
    """One person has no distance to another."""
    figures = search(people={VISIBLE: [3, 3], INFRARED: [3]})()
    assert "embedding/negative_similarity" not in figures and "embedding/compactness" not in figures
    assert all(np.isfinite(value) for value in figures.values())
    assert figures["validation/rank1"] == 1.0


def test_chance_is_of_the_images_searched_and_asks_no_network():
    embedder = Colours()
    embedder.broken = True
    few, many = search(embedder=embedder).chance(), search(people=MANY, embedder=embedder).chance()
    assert 0.0 < many.mean < few.mean < 1.0 and few.deviation > 0.0
    assert many.mean == pytest.approx(1 / 3, abs=0.1), "a third of the images are of the person"


@pytest.mark.parametrize(("right", "failed"), [(True, False), (False, True)])
def test_a_run_that_finds_people_by_chance_alone_has_failed(right, failed):
    made = search(people=MANY, wrong=() if right else [3, 5, 9] * 8)
    found = made()
    run, smoke = (types.SimpleNamespace(config=from_flat({"preset": name})) for name in ("demo", "smoke"))
    said = LabelledImages.at_chance(run, made, found)
    assert bool(said) == failed
    if failed:
        assert f"{found['validation/mAP']:.2%}, which is not above chance: " in said
    assert LabelledImages.at_chance(run, None, found) == ""
    assert LabelledImages.at_chance(run, made, {}) == ""
    assert LabelledImages.at_chance(smoke, made, found) == "", "a smoke run is too short to be judged"
