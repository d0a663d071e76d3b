"""The load test itself: what it sends, what it counts, and that it can fail."""

import sys
from pathlib import Path

import pytest
import tensorflow as tf

from benchmarks.load import Tally, Traffic, main, plan, run_load, table

sys.path.insert(0, str(Path(__file__).parents[1] / "mmgl_tf" / "serving"))
from tests.mmgl_tf.serving.tiny_saved_model import write_version


def test_the_plan_mixes_protocols_batches_and_every_mistake():
    requests = plan(Traffic(2000, 8, 0.05), images=48, kinds=33)
    assert len(requests) == 2000
    bad = [request.mistake for request in requests if request.mistake is not None]
    assert len(bad) == 100
    assert set(bad) == set(range(33))
    good = [request for request in requests if request.mistake is None]
    assert {request.protocol for request in good} == {"REST", "gRPC"}
    assert {len(request.images) for request in good} == {1, 2, 3, 4, 8}
    assert all(len(request.images) == len(request.codes) for request in good)
    places = [place for place, request in enumerate(requests) if request.mistake is not None]
    assert min(places) < 200  # not all at the end
    assert max(places) > 1800
    assert plan(Traffic(2000, 8, 0.05), 48, 33) == requests
    assert plan(Traffic(2000, 8, 0.05, seed=1), 48, 33) != requests


def test_a_tally_is_fine_only_if_nothing_is_wrong_lost_or_leaked():
    def tally(**changes):
        start = {"right": 90, "refused": 10, "memory": {"after warm-up": 1000 << 20, "end": 1029 << 20}}
        return Tally(**(start | changes))

    assert tally().fine(100)
    assert not tally().fine(101)
    assert not tally(right=89, wrong=["x"]).fine(100)
    assert not tally(right=89, lost=["x"]).fine(100)
    assert not tally(memory={"after warm-up": 1000 << 20, "end": 1031 << 20}).fine(100)
    # A small server's fragments are no smaller.
    assert tally(memory={"after warm-up": 100 << 20, "end": 114 << 20}).fine(100)
    assert not tally(memory={"after warm-up": 100 << 20, "end": 116 << 20}).fine(100)
    memory = {"start": 900 << 20, "after warm-up": 1000 << 20, "end": 1040 << 20}
    lines = table(tally(memory=memory, wall_seconds=1.0), Traffic(103))
    assert "lost        3" in lines
    assert "growth      +4.0% after the warm-up (at most 3.0%)" in lines


@pytest.mark.slow
def test_a_small_load_comes_back_whole_and_a_leak_or_a_wrong_answer_is_seen(tmp_path, monkeypatch):
    from mmgl_tf.serving.stand_in.process import StandIn

    module = write_version(tmp_path, 1)
    off = set()

    def embed(images, codes):
        found = module.serve(tf.constant(images), tf.constant(codes, tf.int32))["embedding"].numpy()
        found[sorted(off)] += 0.01
        return found

    traffic = Traffic(requests=240, clients=8, bad=0.2)
    sizes = [550 << 20, 600 << 20, 642 << 20]  # at the end 7 % more: each request's images were kept
    with monkeypatch.context() as patched:
        patched.setattr(StandIn, "memory_bytes", lambda _: sizes.pop(0))
        tally = run_load(tmp_path, "mmgl", embed, True, traffic)
    assert (tally.wrong, tally.lost) == ([], [])
    assert (tally.right, tally.refused) == (192, 48)
    assert tally.answered == 240
    assert set(tally.memory) == {"start", "after warm-up", "end"}
    assert len(table(tally, traffic)) == 9
    assert not tally.fine(240)
    tally.memory["end"] = 612 << 20
    assert tally.fine(240)

    off.add(7)
    requests = [request for request in plan(Traffic(60, 3, 0.0), 48, 1) if 7 in request.images]
    tally = run_load(tmp_path, "mmgl", embed, True, Traffic(60, 3, 0.0))
    assert len(tally.wrong) == len(requests) > 0
    assert all("differs by 1.0e-02" in problem for problem in tally.wrong)
    assert not tally.fine(60)


@pytest.mark.slow
def test_a_server_that_goes_away_is_a_loss(tmp_path, monkeypatch):
    from mmgl_tf.serving.client_calls import Client
    from mmgl_tf.serving.stand_in.process import StandIn

    monkeypatch.setattr(Client, "_until_answered", lambda self, attempt: attempt(5.0))  # no patience
    asked = []

    def memory_bytes(server):
        asked.append(server)
        if len(asked) == 2:  # after the warm-up
            server.stop()
        return 1

    monkeypatch.setattr(StandIn, "memory_bytes", memory_bytes)
    module = write_version(tmp_path, 1)

    def embed(images, codes):
        return module.serve(tf.constant(images), tf.constant(codes, tf.int32))["embedding"].numpy()

    tally = run_load(tmp_path, "mmgl", embed, True, Traffic(40, 2, 0.0))
    assert len(tally.lost) >= 25
    assert tally.answered == 40
    assert not tally.fine(40)


def test_the_command_says_what_it_needs(tmp_path, capsys):
    for arguments, said in (
        ([f"--model={tmp_path}"], "holds no version"),
        ([f"--model={tmp_path}", "--bad=2"], "--bad from 0 to 1"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert said in capsys.readouterr().err
