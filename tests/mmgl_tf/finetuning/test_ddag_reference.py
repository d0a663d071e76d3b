"""DDAG at the paper's size: the reference's golden numbers, its parameters, who learns how fast."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import options_type
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.training.plan import TrainingPlan
from tests.mmgl_tf.backbones.golden_images import both, drawn_images
from tests.mmgl_tf.reference_weights import assign_by_recipe, recipe

IDENTITIES = 395
LABELS = np.array([0, 1, 0, 1], np.int32)
KEYS = {"query": "wpa.fc1.0", "key": "wpa.fc2", "value": "wpa.fc3"}
# What learns at the heads' rate, by the beginnings of its paths; the rest is the trunk.
HEADS = ("neck/", "classifier/", "parts/", "graph/")


def neck_by_recipe(neck, key):
    neck.gamma.assign(recipe(f"{key}.weight", (2048,)))
    neck.moving_mean.assign(recipe(f"{key}.running_mean", (2048,)))
    neck.moving_variance.assign(recipe(f"{key}.running_var", (2048,)))
    neck.beta = recipe(f"{key}.bias", (2048,)).astype("float32")  # see `test_reference_networks`


def by_recipe(model):
    assign_by_recipe(model.encoder.variables)
    neck_by_recipe(model.embedder.neck, "bottleneck")
    model.classifier.kernel.assign(recipe("classifier.weight", (IDENTITIES, 2048)).T)
    parts = model.embedder.parts
    for name, key in KEYS.items():
        linear = getattr(parts, name)
        linear.kernel.assign(recipe(f"{key}.weight", (2048, 2048)).T)
        linear.bias.assign(recipe(f"{key}.bias", (2048,)))
    parts.gate.assign(recipe("wpa.gate", (3,)))
    neck_by_recipe(parts.neck, "wpa.bottleneck")
    for i in range(4):
        head = getattr(model.graph, f"head{i}")
        head.kernel.assign(recipe(f"attention_{i}.W", (2048, 512)))
        head.attention.assign(recipe(f"attention_{i}.a", (1024, 1)))
    model.graph.output_head.kernel.assign(recipe("out_att.W", (2048, IDENTITIES)))
    model.graph.output_head.attention.assign(recipe("out_att.a", (2 * IDENTITIES, 1)))


@pytest.fixture(scope="module")
def model():
    options = options_type("ddag")(ddag_dropout=0.0)
    plan = TrainingPlan(num_identities=IDENTITIES)
    made = FINETUNING["ddag"](Encoder("resnet50", "two"), options, 0, plan)
    made.build_from(96, 48)
    made.compile(optimizer=TorchSGD(learning_rate_multipliers=made.learning_rate_multipliers()))
    made.optimizer.build(made.trained_variables)
    by_recipe(made)
    return made


def test_inference_reproduces_the_reference(model):
    found = model.embedder.embed({"visible": drawn_images(11)})
    assert found["attention"].numpy().sum() == pytest.approx(43.445987, rel=1e-5)
    first = [0.021786, -0.000708, 0.009228, -0.023899]
    np.testing.assert_allclose(found["attention"][0, :4], first, atol=2e-6)
    # The global features are the two-stream base's.
    assert found["pool"].numpy().sum() == pytest.approx(62.863610, rel=1e-5)
    assert found["neck"].numpy().sum() == pytest.approx(62.603504, rel=1e-5)


def test_training_reproduces_the_reference(model):
    outputs = model.joined(model.outputs(both() | {"labels": tf.constant(LABELS)}))
    terms, measures = model.losses(outputs, None)
    assert tf.norm(outputs["part_logits"]).numpy() == pytest.approx(41.071419, rel=1e-3)
    assert tf.reduce_sum(outputs["graph"]).numpy() == pytest.approx(-13997.746, rel=1e-4)
    golden = {"identity": (5.9414253, 1e-3), "parts": (5.7543182, 1e-3), "graph": (10.1007242, 1e-4)}
    for term, (expected, tolerance) in golden.items():
        assert float(terms[term]) == pytest.approx(expected, rel=tolerance), term
    assert float(measures["weight/graph"]) == 0.0


def test_every_tensor_of_the_reference_is_there(model):
    count = sum(v.shape.num_elements() for v in model.trainable_variables)
    trunk, neck, classifier = 23_517_568, 2048, 2048 * IDENTITIES
    parts = 3 * (2048 * 2048 + 2048) + 3 + 2048
    graph = 4 * (2048 * 512 + 1024) + 2048 * IDENTITIES + 2 * IDENTITIES
    assert count == trunk + neck + classifier + parts + graph
    # What the reference stores beside them: its base's unused ResNets, IWPA's unused convolution and batch
    # norm, two unused classifiers, and two frozen offsets.
    unused = (71.34e6 - 24.33e6) + (2048 * 2048 + 2048 + 2 * 2048) + 2 * classifier + 2 * 2048
    assert count + unused == pytest.approx(94.76e6, abs=2e4)


def test_heads_learn_ten_times_as_fast_as_the_trunk(model):
    factors = {
        v.path: factor for v, factor in zip(model.trained_variables, model.optimizer.factors, strict=True)
    }
    assert factors == {path: 1.0 if path.startswith(HEADS) else 0.1 for path in factors}
    assert {path.split("/")[0] + "/" for path, factor in factors.items() if factor == 1.0} == set(HEADS)
