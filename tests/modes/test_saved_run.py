import dataclasses

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.modes.saved_run import load_embedder, run_settings, start_encoders, weights_file
from tests.modes.small_run import settings, write_run


def encoder_of(stream="two"):
    encoder = Encoder("resnet10", stream, seed=9)
    encoder.build_from(96, 48)
    return encoder


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.weights, second.weights, strict=True))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """(run directory, its layers)."""
    root = tmp_path_factory.mktemp("runs") / "pretrained"
    return root, write_run(root, settings("pretrain"), encoders=("last", "best"), steps=6, best_epoch=1)


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "finetuned"
    config = settings(method="agw", non_local_width=2)
    return root, write_run(root, config, embedders=("last", "best"), steps=8, best_epoch=2)


def looking_at(root, **changes):
    """The settings that eval makes of a run's: its own, and --init."""
    return settings(**{**run_settings(root), "init": str(root), **changes})


def test_settings_of_what_is_no_run_are_refused(tmp_path):
    for name in ("nowhere", ""):
        with pytest.raises(
            ValueError, match=r"holds no run: .*config\.json is missing or unreadable.*--workdir"
        ):
            run_settings(tmp_path / name)
    (tmp_path / "config.json").write_text("{half")
    with pytest.raises(ValueError, match="holds no run"):
        run_settings(tmp_path)


def test_the_best_weights_are_the_last_where_nothing_was_chosen(tmp_path, pretrained):
    root, _ = pretrained
    assert weights_file(root, "encoder", "best") == (root / "encoder_best.weights.h5", "best")
    assert weights_file(root, "encoder", "last") == (root / "encoder_last.weights.h5", "last")
    write_run(tmp_path, settings("pretrain"), encoders=("last",))
    assert weights_file(tmp_path, "encoder", "best") == (tmp_path / "encoder_last.weights.h5", "last")
    with pytest.raises(ValueError, match=r"no embedder_last\.weights\.h5; its first epoch is not finished"):
        weights_file(tmp_path, "embedder", "last")


def test_a_random_start_leaves_the_encoder_alone():
    encoder, other = encoder_of(), encoder_of()
    assert start_encoders(PooledEncoder(encoder), settings()) == ["random weights"]
    assert same(encoder, other)


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_run_starts_the_encoder_from_the_weights_that_were_asked_for(pretrained, which):
    root, layers = pretrained
    encoder = encoder_of()
    lines = start_encoders(PooledEncoder(encoder), settings(init=str(root), init_weights=which))
    assert lines[0].endswith(f"pretrained/encoder_{which}.weights.h5")
    assert lines[1] == "65 tensors matched, 0 missing, 0 dropped"
    assert same(encoder, layers[f"encoder_{which}"])
    assert not same(encoder, layers[{"best": "encoder_last", "last": "encoder_best"}[which]])


def test_a_file_of_a_fine_tuning_starts_the_encoder_too(finetuned):
    root, layers = finetuned
    encoder = encoder_of()
    lines = start_encoders(PooledEncoder(encoder), settings(init=str(root / "embedder_last.weights.h5")))
    assert "dropped (" in lines[1]
    assert same(encoder, layers["embedder_last"].encoder)


def test_the_choice_of_a_stem_reaches_the_transfer(pretrained):
    root, layers = pretrained
    encoder = encoder_of("one")
    with pytest.raises(ValueError, match="--stem_from"):
        start_encoders(PooledEncoder(encoder), settings(init=str(root)))
    lines = start_encoders(PooledEncoder(encoder), settings(init=str(root), stem_from="infrared"))
    assert "--stem_from=infrared" in lines[2]
    np.testing.assert_array_equal(
        encoder.stem.conv1.kernel, layers["encoder_best"].stem_infrared.conv1.kernel
    )


def test_starts_that_are_not_there_are_refused(tmp_path):
    encoder, other = encoder_of(), encoder_of()
    with pytest.raises(ValueError, match="--init=typo is neither a run directory nor a file; give random"):
        start_encoders(PooledEncoder(encoder), settings(init="typo"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no run"):
        start_encoders(PooledEncoder(encoder), settings(init=str(tmp_path / "empty")))
    write_run(tmp_path / "begun", settings("pretrain"))
    with pytest.raises(ValueError, match=r"begun has no encoder_best\.weights\.h5; its first epoch"):
        start_encoders(PooledEncoder(encoder), settings(init=str(tmp_path / "begun")))
    assert same(encoder, other)


@pytest.mark.parametrize(("which", "place"), [("last", 8), ("best", 2)])
def test_a_fine_tuned_embedder_comes_back_whole(finetuned, which, place):
    root, layers = finetuned
    embedder, found = load_embedder(looking_at(root), which)
    assert (found, embedder.FEATURES) == (place, ("neck", "pool"))
    assert embedder.feature_sizes == {"neck": 256, "pool": 256}
    assert same(embedder, layers[f"embedder_{which}"])
    assert len(embedder.non_local) == 2 and embedder.pooling is not None


@pytest.mark.parametrize(("which", "place"), [("last", 6), ("best", 1)])
@pytest.mark.parametrize("typed", [{}, {"method": "one_stream"}])
def test_a_pre_training_is_seen_through_its_pooled_feature_map(pretrained, which, place, typed):
    root, layers = pretrained
    embedder, found = load_embedder(looking_at(root, **typed), which)
    assert (found, embedder.feature_sizes) == (place, {"pool": 256})
    assert same(embedder.encoder, layers[f"encoder_{which}"])
    assert embedder.encoder.stream == "two" and embedder.non_local == {}


def test_a_run_without_best_weights_has_none_and_without_any_is_refused(tmp_path):
    config = settings()
    write_run(tmp_path, config)
    looking = dataclasses.replace(
        config, finetuning=dataclasses.replace(config.finetuning, init=str(tmp_path))
    )
    assert load_embedder(looking, "best") is None
    with pytest.raises(ValueError, match=r"has no embedder_last\.weights\.h5"):
        load_embedder(looking, "last")
    write_run(tmp_path, config, embedders=("last",))
    assert load_embedder(looking, "best") is None
    embedder, steps = load_embedder(looking, "last")
    assert steps is None and embedder.built
    write_run(tmp_path, config, embedders=("best",), steps=3)
    assert load_embedder(looking, "best")[1] is None, "the run is not finished, so its best may change"


def test_a_run_of_another_mode_or_network_is_refused(tmp_path, finetuned):
    write_run(tmp_path, settings("synthesize"))
    with pytest.raises(ValueError, match="is a run of --mode=synthesize; expected a pre-training"):
        load_embedder(looking_at(tmp_path), "last")
    with pytest.raises(ValueError, match=r"shape|expected"):
        load_embedder(looking_at(finetuned[0], backbone="resnet18"), "last")
