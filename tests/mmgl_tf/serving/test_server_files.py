"""The server's configuration files are what TF Serving reads."""

import base64
import json
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from mmgl_tf.serving import server_files

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"


def models(text):
    found = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {config.name: config for config in found.model_config_list.config}


def test_every_model_below_the_directory_is_served(tmp_path):
    for name in ("mmgl/1", "other/3", "empty", ".writing-mmgl-x/2"):
        (tmp_path / name).mkdir(parents=True)
    server_files.write_server_files(tmp_path, [1, 4, 16])
    found = models((tmp_path / "models.config").read_text())
    assert set(found) == {"mmgl", "other"}
    assert found["mmgl"].base_path == "/models/mmgl" and found["mmgl"].model_platform == "tensorflow"
    assert found["mmgl"].model_version_policy.latest.num_versions == 1
    batching = (tmp_path / "batching.config").read_text()
    allowed = [int(size) for size in re.findall(r"^allowed_batch_sizes: (\d+)$", batching, re.MULTILINE)]
    assert allowed == [1, 4, 16]
    assert "max_batch_size { value: 16 }" in batching
    assert "enable: true" in (tmp_path / "monitoring.config").read_text()


def test_the_examples_in_deploy_are_up_to_date():
    assert (DEPLOY / "batching.config").read_text() == server_files.batching_config([1, 8, 32])
    assert (DEPLOY / "monitoring.config").read_text() == server_files.MONITORING_TEXT
    labelled = models((DEPLOY / "models.config").read_text())["mmgl"]
    assert dict(labelled.version_labels) == {"stable": 1, "canary": 2}
    for name in ("README.md", "compose.yaml"):
        text = (DEPLOY / name).read_text()
        assert server_files.IMAGE in text
        for flag in re.findall(
            r"--[a-z_]+=/models/\w+\.config", server_files.commands(".", "m", True)["serve"]
        ):
            assert flag in text


@pytest.mark.parametrize("two_stream", [True, False])
def test_the_lines_can_be_typed(tmp_path, two_stream):
    root = tmp_path / "with space"
    lines = server_files.commands(root, "mmgl", two_stream)
    words = shlex.split(lines["serve"])
    assert words[words.index("-v") + 1] == f"{root}:/models:ro"
    assert words[:3] == ["docker", "run", "--rm"]
    published = [after for word, after in pairwise(words) if word == "-p"]
    assert published == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"], "not on every interface"
    python = shlex.split(lines["gRPC"])
    compile(python[2], "line", "exec")
    assert ("[1]" in python[2]) == two_stream
    # What the pipe sends to curl.
    (tmp_path / "person.jpg").write_bytes(bytes(range(256)) * 600)
    body = subprocess.run(
        ["sh", "-c", lines["REST"].split(" | curl")[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (instance,) = json.loads(body)["instances"]
    assert base64.b64decode(instance["image_bytes"]["b64"]) == bytes(range(256)) * 600
    assert instance.get("modality") == (1 if two_stream else None)


def test_deploys_readme_has_the_lines():
    text = (DEPLOY / "README.md").read_text()
    lines = server_files.commands(".", "mmgl", True)
    assert lines["REST"] in text and lines["gRPC"] in text
    published = re.search(r"(-p \S+ )+", lines["serve"]).group()
    assert published in text


def test_compose_publishes_on_this_machine_only():
    text = (DEPLOY / "compose.yaml").read_text()
    published = re.findall(r'^\s+- "(.*:\d+:\d+|\d+:\d+)"', text, re.MULTILINE)
    assert published == [f"127.0.0.1:{port}:{port}" for port in (8500, 8501, 9090)]
    assert "MMGL_EXPORT=$PWD/" in text, "docker takes a relative path for the name of a volume"
