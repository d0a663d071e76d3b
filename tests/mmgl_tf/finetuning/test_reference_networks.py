import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import options_type
from mmgl_tf.losses.identification.identity import identity_loss
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.training.plan import TrainingPlan
from tests.mmgl_tf.backbones.golden_images import both, drawn_images
from tests.mmgl_tf.reference_weights import assign_by_recipe, recipe

INFERENCE = {
    "two_stream": {"visible": (62.863610, 62.603504), "infrared": (62.906217, 62.639115)},
    "agw": {"visible": (68.579868, 68.404692), "infrared": (67.627070, 67.478497)},
}
TRAINING = {  # pooled sum and length, logits' length, cross-entropy of the identities 0, 1, 0, 1
    "two_stream": (8484.354443, 96.348266, 40.516825, 5.9414253),
    "agw": (14929.739746, 172.613236, 40.114556, 6.4117374),
}
SEEDS = {"visible": 11, "infrared": 12}


@pytest.fixture(scope="module", params=["two_stream", "agw"])
def network(request):
    model = FINETUNING[request.param](
        Encoder("resnet50", "two"), options_type(request.param)(), 0, TrainingPlan(num_identities=395)
    )
    model.build_from(96, 48)
    return request.param, model


def by_recipe(model):
    assign_by_recipe(model.variables)
    # Frozen at 0 in the reference, where ours has none; the golden numbers' recipe fills it all the same.
    model.embedder.neck.beta = recipe("bottleneck.bias", (2048,)).astype("float32")


def test_every_tensor_of_the_reference_is_there(network):
    name, model = network
    count = sum(v.shape.num_elements() for v in model.trainable_variables)
    # The reference's 24.33 M and 24.36 M used parameters count the neck's frozen offset.
    assert count + 2048 == pytest.approx({"two_stream": 24.33e6, "agw": 24.36e6}[name], abs=5e3)


def test_all_but_neck_and_classifier_learn_at_a_tenth(network):
    _, model = network
    optimizer = TorchSGD(learning_rate_multipliers=model.learning_rate_multipliers())
    optimizer.build(model.trainable_variables)
    fast = [v.path for v, f in zip(model.trainable_variables, optimizer.factors, strict=True) if f == 1.0]
    assert sorted(fast) == ["classifier/kernel", "neck/gamma"]
    assert set(optimizer.factors) == {0.1, 1.0}


def test_inference_reproduces_the_reference(network):
    name, model = network
    by_recipe(model)
    for modality, (pool, neck) in INFERENCE[name].items():
        embeddings = model.embedder.embed({modality: drawn_images(SEEDS[modality])})
        assert embeddings["pool"].numpy().sum() == pytest.approx(pool, rel=1e-5)
        assert embeddings["neck"].numpy().sum() == pytest.approx(neck, rel=1e-5)
        np.testing.assert_allclose(np.linalg.norm(embeddings["neck"], axis=1), 1.0, rtol=1e-6)
        if (name, modality) == ("two_stream", "visible"):
            first = [0.053436, 0.018656, 0.018375, 0.0], [0.050976, 0.020255, 0.019623, -0.00018]
            np.testing.assert_allclose(embeddings["pool"][0, :4], first[0], atol=1e-6)
            np.testing.assert_allclose(embeddings["neck"][0, :4], first[1], atol=2e-6)


def test_training_reproduces_the_reference(network):
    name, model = network
    by_recipe(model)
    outputs = model(both(), training=True)
    pooled_sum, pooled_length, logits_length, loss = TRAINING[name]
    assert tf.reduce_sum(outputs["pool"]).numpy() == pytest.approx(pooled_sum, rel=1e-4)
    assert tf.norm(outputs["pool"]).numpy() == pytest.approx(pooled_length, rel=1e-4)
    assert tf.norm(outputs["logits"]).numpy() == pytest.approx(logits_length, rel=1e-3)
    if name == "two_stream":
        assert tf.reduce_sum(outputs["logits"]).numpy() == pytest.approx(-0.572747, abs=0.05)
    found = identity_loss(outputs["logits"], np.array([0, 1, 0, 1])).numpy()
    assert found == pytest.approx(loss, rel=1e-3)
    moving = {v.path: v.numpy() for v in model.non_trainable_variables}
    if name == "two_stream":
        assert moving["encoder/layer1/0/bn1/moving_variance"].sum() == pytest.approx(63.307922, rel=1e-6)
