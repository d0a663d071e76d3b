"""Versions that come and go, warm-up, load and the end of the server."""

import shutil
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mmgl_tf.serving.client import GrpcClient, RestClient, ServingError
from mmgl_tf.serving.stand_in.gate import Gate
from mmgl_tf.serving.stand_in.process import StandIn
from mmgl_tf.serving.stand_in.refusal import Refusal
from mmgl_tf.serving.stand_in.served_versions import ServedVersions
from tests.mmgl_tf.serving.tiny_saved_model import image, some_images, write_version

IMAGES = some_images(3)


def inputs(codes=(0, 1, 0)):
    content = np.empty(3, object)
    content[:] = IMAGES
    return {"image_bytes": content, "modality": np.array(codes, np.int32)}


def answer(versions, version=None):
    with versions.asked("mmgl", version) as asked:
        return asked.number, asked.run("", inputs())["embedding"]


def expected(module):
    return module.serve(tf.constant(IMAGES), tf.constant([0, 1, 0]))["embedding"].numpy()


def write_warm_up(directory, count=3, codes=(0, 1, 0)):
    extra = directory / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for _ in range(count):
            log = prediction_log_pb2.PredictionLog()
            for name, value in inputs(codes).items():
                log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())


def test_the_largest_version_is_served_as_they_come_and_go(tmp_path):
    said = []
    versions = ServedVersions(tmp_path, "mmgl", said.append)
    versions.poll()
    with pytest.raises(Refusal, match="Could not find any versions") as caught:
        versions.states("mmgl")
    assert caught.value.status == "NOT_FOUND"
    modules = {number: write_version(tmp_path, number) for number in (2, 10)}
    (tmp_path / "notes").mkdir()
    versions.poll()
    number, found = answer(versions)
    assert number == 10  # numbers, not names, are compared
    np.testing.assert_allclose(found, expected(modules[10]), atol=1e-6)
    assert versions.states("mmgl") == {10: ("AVAILABLE", 0, "")}
    with pytest.raises(Refusal, match=r"Specific\(mmgl, 2\)"):
        answer(versions, 2)
    shutil.rmtree(tmp_path / "10")  # a roll-back
    versions.poll()
    np.testing.assert_allclose(answer(versions, 2)[1], expected(modules[2]), atol=1e-6)
    shutil.rmtree(tmp_path / "2")
    versions.poll()
    with pytest.raises(Refusal, match=r"Latest\(mmgl\)"):
        answer(versions)
    versions.close()
    assert said[0] == "mmgl version 10: LOADING"


def test_directories_whose_names_are_no_version_numbers_are_passed_by(tmp_path):
    write_version(tmp_path, 3)
    for name in ("9223372036854775808", "007", "\u0668", "9.5", "-4"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(b"not a graph")
    versions = ServedVersions(tmp_path, "mmgl", lambda _: None)
    versions.poll()
    assert versions.states("mmgl") == {3: ("AVAILABLE", 0, "")}
    versions.close()


def test_a_version_that_cannot_be_loaded_is_left_out_until_it_is_mended(tmp_path):
    versions, said = None, []
    module = write_version(tmp_path, 1)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"not a graph")
    versions = ServedVersions(tmp_path, "mmgl", said.append)
    versions.poll()
    np.testing.assert_allclose(answer(versions)[1], expected(module), atol=1e-6)
    states = versions.states("mmgl")
    assert list(states) == [2, 1]
    assert states[2][:2] == ("END", 2)
    assert states[2][2]
    lines = len(said)
    versions.poll()
    assert len(said) == lines  # not tried again and again
    shutil.rmtree(tmp_path / "2")
    write_version(tmp_path, 2)
    versions.poll()
    assert answer(versions)[0] == 2
    versions.close()


def test_warm_up_requests_run_before_a_version_is_served(tmp_path):
    write_version(tmp_path, 1)
    write_warm_up(tmp_path / "1", 3)
    said = []
    versions = ServedVersions(tmp_path, "mmgl", said.append)
    versions.poll()
    assert said[1] == "mmgl version 1: AVAILABLE, 3 warm-up requests"
    write_version(tmp_path, 2)
    write_warm_up(tmp_path / "2", 1, codes=(0, 5, 0))
    versions.poll()
    assert versions.states("mmgl")[2][0] == "END"
    assert "modality" in versions.states("mmgl")[2][2]
    assert answer(versions)[0] == 1
    versions.close()


def test_a_version_is_closed_when_its_last_request_has_ended(tmp_path):
    modules = [write_version(tmp_path, 1)]
    versions = ServedVersions(tmp_path, "mmgl", lambda _: None)
    versions.poll()
    with versions.asked("mmgl") as old:
        modules.append(write_version(tmp_path, 2))
        looking = threading.Thread(target=versions.poll)
        looking.start()
        limit = time.monotonic() + 60
        while versions.states("mmgl").get(1, ("",))[0] != "UNLOADING" and time.monotonic() < limit:
            time.sleep(0.01)
        assert answer(versions)[0] == 2
        np.testing.assert_allclose(old.run("", inputs())["embedding"], expected(modules[0]), atol=1e-6)
    looking.join()
    assert versions.states("mmgl")[1][0] == "END"
    with pytest.raises(RuntimeError, match="closed"):
        old.run("", inputs())
    versions.close()


def test_a_full_gate_sends_away_and_waiting_has_an_end():
    gate = Gate(running=1, waiting=1)
    with gate.place(), gate.run(1.0), gate.place():
        with pytest.raises(Refusal, match="2 requests are running or waiting") as caught, gate.place():
            pass
        assert (caught.value.status, caught.value.http_status) == ("UNAVAILABLE", 503)
        with pytest.raises(Refusal, match="waited") as caught, gate.run(0.05):
            pass
        assert (caught.value.status, caught.value.http_status) == ("DEADLINE_EXCEEDED", 504)
    with gate.place(), gate.run(0.0):
        pass


def test_a_directory_without_a_model_says_why(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"not a graph")
    with pytest.raises(ValueError, match=r"cannot be served(.|\n)*version 1: END"):
        StandIn(tmp_path)


@pytest.mark.slow
def test_nothing_is_dropped_while_versions_change_or_the_server_ends(tmp_path):
    pause = 0.05
    old = write_version(tmp_path, 1, pause_seconds=pause)
    options = {"file_system_poll_wait_seconds": 0.1, "max_running_requests": 1, "max_waiting_requests": 3}
    with StandIn(tmp_path, **options) as server:
        patient = {"timeout_seconds": 60.0, "first_wait_seconds": 0.02}
        clients = [RestClient("127.0.0.1", server.rest_port, "mmgl", **patient)]
        clients.append(GrpcClient("127.0.0.1", server.port, "mmgl", **patient))
        answers, lost, stop = [], [], threading.Event()

        def ask(client):
            while not stop.is_set():
                try:
                    answers.append(client.embed(IMAGES, [0, 1, 0]))
                except ServingError as error:
                    lost.append(error)

        threads = [threading.Thread(target=ask, args=(client,)) for client in clients for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(answers) < 10 and not lost:
            time.sleep(0.01)
        new = write_version(tmp_path, 2, pause_seconds=pause)
        limit = time.monotonic() + 60
        while clients[0].status() != {2: "AVAILABLE", 1: "END"} and time.monotonic() < limit:
            time.sleep(0.05)
        reached = len(answers)
        while len(answers) < reached + 10 and not lost:
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        assert lost == []
        wanted = [expected(module) for module in (old, new)]
        kinds = [[np.abs(found - each).max() < 1e-6 for each in wanted] for found in answers]
        assert all(sum(kind) == 1 for kind in kinds)
        assert {kind.index(True) for kind in kinds} == {0, 1}

        # Sixteen at once where four have room: the others are told to come back.
        once = [RestClient("127.0.0.1", server.rest_port, "mmgl", timeout_seconds=0.02) for _ in range(16)]
        refused = []

        def ask_once(client):
            try:
                client._predict([image(1)] * 8, [0] * 8, 30.0)
            except ServingError as error:
                refused.append(error.status)

        threads = [threading.Thread(target=ask_once, args=(client,)) for client in once]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(refused) == {"UNAVAILABLE"}

        slow = write_version(tmp_path, 3, pause_seconds=3.0)
        limit = time.monotonic() + 60
        while clients[0].status().get(3) != "AVAILABLE" and time.monotonic() < limit:
            time.sleep(0.05)
        # A request under way when the server is told to end is answered; later ones find nobody.
        found = []
        last = [
            threading.Thread(target=lambda c=client: found.append(c._predict(IMAGES, [0, 1, 0], 30.0)))
            for client in clients
        ]
        for thread in last:
            thread.start()
        time.sleep(1.5)
        assert server.stop() == 0
        for thread in last:
            thread.join()
        assert len(found) == 2
        for each in found:
            np.testing.assert_allclose(each, expected(slow), atol=1e-6)
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            clients[0]._predict(IMAGES, [0, 1, 0], 5.0)
        for client in clients:
            client.close()
