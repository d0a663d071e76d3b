import numpy as np
import pytest

from benchmarks import train_step


def test_the_pytorch_peer_computes_the_same_loss_with_the_same_weights():
    pytest.importorskip("torch")
    ours, theirs, parameters, their_parameters = train_step.first_losses(
        "resnet10", 96, 48, train_step.drawn_batch(2, 96, 48)
    )
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert parameters == their_parameters


def test_the_peer_refuses_weights_that_do_not_fit():
    pytest.importorskip("torch")
    from benchmarks.peers import train_step as train_step_peer

    peer = train_step.make_peer("resnet10")
    with pytest.raises(ValueError, match="No weights for"):
        train_step_peer.take_weights(peer, {"part_classifier/bias": np.zeros(6, "float32")})
    with pytest.raises(ValueError, match="has shape"):
        train_step_peer.take_weights(peer, {"part_classifier/bias": np.zeros(7, "float32")})


@pytest.mark.slow
def test_heads_are_timed_on_every_gradient():
    maps = train_step.drawn_batch(2, 6, 3, channels=8)
    for precision in train_step.POLICIES:
        assert np.isfinite(train_step.heads_step(maps, precision)())


def test_functions_take_turns():
    calls = []
    seconds = train_step.alternate({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert calls == ["a", "b"] * 5  # two rounds are not counted
    assert [len(values) for values in seconds.values()] == [3, 3]
