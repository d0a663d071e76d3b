"""Weights reach the encoder tensor by tensor, or nothing changes and a message says why."""

import h5py
import numpy as np
import pytest

from mmgl_tf.backbones import BACKBONES, Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.finetuning.transfer import Transfer, tensor_names, transfer
from mmgl_tf.flags.config import options_type
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.plan import TrainingPlan

LARGE = ("resnet34", "resnet50")


def encoder_of(backbone="resnet10", stream="two", seed=1):
    encoder = Encoder(backbone, stream, stem_init="independent", seed=seed)
    encoder.build_from(64, 32)
    return encoder


def strange(layer, seed=0):
    """Give every weight values that no initialiser would: moving statistics too, each its own."""
    dice = np.random.default_rng(seed)
    for variable in layer.weights:
        variable.assign(dice.uniform(0.5, 2.0, variable.shape))
    return layer


def saved(layer, path):
    layer.save_weights(path)
    return path


def values(encoder):
    return {name: variable.numpy() for name, variable in tensor_names(encoder).items()}


@pytest.fixture(scope="module")
def two_stems(tmp_path_factory):
    return saved(strange(encoder_of()), tmp_path_factory.mktemp("weights") / "two.weights.h5")


@pytest.fixture(scope="module")
def one_stem(tmp_path_factory):
    encoder = strange(encoder_of(stream="one"))
    return saved(encoder, tmp_path_factory.mktemp("weights") / "one.weights.h5")


@pytest.mark.parametrize("stream", ["one", "two"])
@pytest.mark.parametrize(
    "backbone", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in BACKBONES]
)
def test_every_tensor_is_the_files_and_names_are_those_that_keras_writes(tmp_path, backbone, stream):
    source, target = strange(encoder_of(backbone, stream)), encoder_of(backbone, stream, seed=5)
    path = saved(source, tmp_path / "encoder.weights.h5")
    with h5py.File(path) as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        stored = {name: file[name][()] for name in names}
    own = tensor_names(source)
    assert sorted(own) == sorted(stored)
    assert [v.path for v in own.values()] == [v.path for v in source.variables]
    for name, variable in own.items():
        np.testing.assert_array_equal(variable, stored[name], err_msg=f"{name} is not {variable.path}")

    done = transfer(target, path)
    assert done == Transfer(tuple(tensor_names(target)), (), ())
    assert done.lines() == [f"{len(source.variables)} tensors matched, 0 missing, 0 dropped"]
    assert any(v.path.endswith("moving_variance") for v in target.variables)
    for first, second in zip(source.variables, target.variables, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=first.path)


def test_one_stem_starts_both_and_that_is_said(one_stem):
    target = encoder_of()
    done = transfer(target, one_stem)
    assert len(done.notes) == 1 and "both stems start from a copy" in done.notes[0]
    assert done.lines()[1:] == list(done.notes)
    assert done.dropped == ()
    assert set(done.matched) == set(tensor_names(target))
    found = values(target)
    with h5py.File(one_stem) as file:
        for name, value in found.items():
            source = name.replace("stem_visible", "stem").replace("stem_infrared", "stem")
            np.testing.assert_array_equal(value, file[source][()], err_msg=name)


@pytest.mark.parametrize("chosen", ["visible", "infrared", "mean"])
def test_two_stems_become_the_one_that_was_chosen(two_stems, chosen):
    target = encoder_of(stream="one")
    before = values(target)
    with pytest.raises(ValueError, match="--stem_from=visible, infrared or mean"):
        transfer(target, two_stems)
    assert all(np.array_equal(value, before[name]) for name, value in values(target).items())

    done = transfer(target, two_stems, stem_from=chosen)
    assert f"--stem_from={chosen}" in done.lines()[1]
    other = {"visible": "stem_infrared/", "infrared": "stem_visible/", "mean": "nothing"}[chosen]
    assert all(name.startswith(other) for name in done.dropped)
    assert len(done.dropped) == (0 if chosen == "mean" else 5)
    with h5py.File(two_stems) as file:
        for name, value in values(target).items():
            expected = file[name][()] if not name.startswith("stem/") else None
            if expected is None:
                each = [file[name.replace("stem", f"stem_{m}", 1)][()] for m in ("visible", "infrared")]
                expected = {"visible": each[0], "infrared": each[1], "mean": (each[0] + each[1]) / 2}[chosen]
            np.testing.assert_allclose(value, expected, rtol=1e-7, err_msg=name)


def test_the_choice_of_a_stem_is_ignored_where_there_is_nothing_to_choose(two_stems):
    target = encoder_of()
    assert transfer(target, two_stems, stem_from="infrared").notes == ()
    assert not np.array_equal(target.stem_visible.conv1.kernel, target.stem_infrared.conv1.kernel)


def _kind(path):
    """The kind of layer that a variable is of: "non_local" of "non_local_layer2_0/theta/kernel"."""
    layer = path.split("/")[0]
    return layer.rpartition("_layer")[0] or layer


def test_which_of_several_trunks_is_not_guessed(tmp_path):
    embedder = FINETUNING["vcd"].make_embedder(Encoder("resnet10", "one", seed=1), options_type("vcd")(), 1)
    embedder.build_from(64, 32)
    with pytest.raises(ValueError, match=r"holds 3 trunks among its .* expected one"):
        transfer(encoder_of(stream="one"), saved(embedder, tmp_path / "embedder.weights.h5"))


@pytest.mark.parametrize("method", [name for name in FINETUNING if name != "vcd"])
def test_an_embedders_neck_and_blocks_are_dropped_and_named(tmp_path, method):
    kind = FINETUNING[method]
    embedder = kind.make_embedder(Encoder("resnet10", kind.STREAM, seed=1), options_type(method)(), 1)
    embedder.build_from(64, 32)
    path = saved(strange(embedder), tmp_path / "embedder.weights.h5")
    target = encoder_of(stream=kind.STREAM)
    done = transfer(target, path)
    for first, second in zip(embedder.encoder.variables, target.variables, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=first.path)
    assert len(done.dropped) == len(embedder.weights) - len(target.weights)
    inner = {variable.path for variable in embedder.encoder.variables}
    own = {_kind(v.path) for v in embedder.variables if v.path not in inner}
    assert {_kind(name) for name in done.dropped} == own >= {"neck"}
    shown = done.lines()[0]
    assert f"{len(done.dropped)} dropped ({done.dropped[0]}" in shown
    assert shown.endswith("...)" if len(done.dropped) > 5 else f"{done.dropped[-1]})")


@pytest.mark.parametrize("kind", ["pretraining", "finetuning"])
def test_a_whole_models_heads_are_dropped_and_named(tmp_path, kind):
    encoder = Encoder("resnet10", "two", seed=1)
    if kind == "pretraining":
        model = PRETRAINING["mmgl"](encoder, options_type("mmgl")(part_embedding_size=8), 1, TrainingPlan())
        model.build_from(96, 32)
        heads = ("permutation_head", "stripe_head")
    else:
        model = FINETUNING["two_stream"](
            encoder, options_type("two_stream")(), 1, TrainingPlan(num_identities=3)
        )
        model.build_from(96, 32)
        heads = ("classifier",)
    model.save_weights(tmp_path / "model.weights.h5")
    target = encoder_of()
    done = transfer(target, tmp_path / "model.weights.h5")
    for first, second in zip(encoder.variables, target.variables, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=first.path)
    assert len(done.matched) == len(target.variables)
    for head in heads:
        assert any(head in name for name in done.dropped), (head, done.dropped)
    assert not [name for name in done.dropped if "layer1" in name]


def refused(target, path, match, **choices):
    before = values(target)
    with pytest.raises(ValueError, match=match) as error:
        transfer(target, path, **choices)
    assert str(path) in str(error.value)
    after = values(target)
    assert all(np.array_equal(after[name], before[name]) for name in before), "something changed"


def test_another_network_is_refused_with_the_numbers(tmp_path, two_stems):
    total = len(tensor_names(encoder_of("resnet18")))
    match = rf"resnet18, two-stream encoder: \d+ of {total} tensors match, \d+ missing \['layer"
    refused(encoder_of("resnet18"), two_stems, match)
    larger = saved(encoder_of("resnet18"), tmp_path / "larger.weights.h5")
    refused(encoder_of(), larger, r"0 missing \[\], \d+ of another shape \['stem_visible/conv1/vars/0 \(7, 7")


def test_a_larger_trunk_whose_first_blocks_would_fit_is_refused(tmp_path):
    """ResNet-34 has all of ResNet-18's tensors, in the same shapes."""
    path = saved(encoder_of("resnet34"), tmp_path / "resnet34.weights.h5")
    count = len(tensor_names(encoder_of("resnet34"))) - len(tensor_names(encoder_of("resnet18")))
    match = rf"larger trunk than resnet18: {count} of its tensors would be left over.*--backbone"
    refused(encoder_of("resnet18"), path, match)


@pytest.mark.parametrize("prefix", ["", "embedder/encoder/"])
def test_one_block_too_many_is_refused_wherever_the_trunk_lies(tmp_path, two_stems, prefix):
    path = tmp_path / "longer.weights.h5"
    with h5py.File(path, "w") as file, h5py.File(two_stems) as source:
        for part in source:
            source.copy(part, file.require_group(f"/{prefix}"))
        file[f"{prefix}layer4/1/conv1/vars/0"] = np.ones((3, 3, 2, 2))
    refused(encoder_of(), path, r"larger trunk than resnet10: 1 of .* such as \['layer4/1/conv1/vars/0'\]")


def test_a_single_missing_or_misshapen_tensor_is_named(tmp_path):
    path = saved(strange(encoder_of()), tmp_path / "encoder.weights.h5")
    with h5py.File(path, "r+") as file:
        del file["layer4/0/bn2/vars/3"]
    refused(encoder_of(), path, r"64 of 65 tensors match, 1 missing \['layer4/0/bn2/vars/3'\], 0 of another")
    with h5py.File(path, "r+") as file:
        file["layer4/0/bn2/vars/3"] = np.ones(7)
    refused(encoder_of(), path, r"1 of another shape \['layer4/0/bn2/vars/3 \(7,\) -> \(256,\)'\]")


def test_files_that_hold_no_trunk_are_refused(tmp_path, two_stems):
    text = tmp_path / "text.weights.h5"
    text.write_text("no weights")
    refused(encoder_of(), text, "cannot be read as a weights file")
    refused(encoder_of(), tmp_path / "nowhere.weights.h5", "cannot be read as a weights file")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dense/vars/0"] = np.ones((3, 3))
    refused(encoder_of(), tmp_path / "other.h5", "holds 0 trunks among its 1 tensors")
    with h5py.File(tmp_path / "two.h5", "w") as file, h5py.File(two_stems) as source:
        for name in ("first", "second"):
            file.create_group(name)
            for part in source:
                source.copy(part, file[name])
    refused(encoder_of(), tmp_path / "two.h5", "holds 2 trunks")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, two_stems, share):
    content = two_stems.read_bytes()
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(content[: int(share * len(content))])
    refused(encoder_of(), path, "cannot be read as a weights file")
