import json
import os

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.visualization import projector
from mmgl_tf.visualization.projector import sprite, write_projector

FILES = ["metadata.tsv", "projector_config.pbtxt", "sprite.png", "tensors.tsv"]


@pytest.fixture
def random():
    return np.random.default_rng(1)


def rows(count):
    return [
        {"identity": k, "modality": ("visible", "infrared")[k % 2], "camera": k + 1} for k in range(count)
    ]


@pytest.fixture
def fetch():
    """TensorBoard's own plugin on a log directory: fetch(logdir, route, arguments) -> response."""
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    def get(logdir, route, arguments=""):
        plugin = ProjectorPlugin(base_plugin.TBContext(logdir=str(logdir), data_provider=None))
        return Client(plugin.get_plugin_apps()[route]).get(route + arguments)

    return get


def test_tensorboards_plugin_serves_what_was_written(tmp_path, random, fetch):
    embeddings = random.normal(size=(7, 5)).astype(np.float32)
    thumbnails = random.integers(0, 256, (7, 24, 12, 3), np.uint8)
    config = write_projector(tmp_path / "new", embeddings, rows(7), thumbnails, name='the "neck"')
    assert config == tmp_path / "new" / "projector_config.pbtxt"
    assert sorted(os.listdir(config.parent)) == FILES
    assert json.loads(fetch(config.parent, "/runs").data) == ["."]
    found = json.loads(fetch(config.parent, "/info", "?run=.").data)["embeddings"]
    assert len(found) == 1
    assert found[0]["tensorName"] == 'the "neck"'
    assert found[0]["tensorShape"] == [7, 5]
    assert found[0]["sprite"]["singleImageDim"] == [24, 24]
    where = "?run=.&name=the%20%22neck%22"
    tensor = np.frombuffer(fetch(config.parent, "/tensor", where).data, np.float32).reshape(7, 5)
    np.testing.assert_allclose(tensor, embeddings, rtol=1e-5)
    lines = fetch(config.parent, "/metadata", where).data.decode().splitlines()
    assert lines[:3] == ["identity\tmodality\tcamera", "0\tvisible\t1", "1\tinfrared\t2"]
    assert len(lines) == 8
    image = fetch(config.parent, "/sprite_image", where)
    assert image.mimetype == "image/png"
    assert image.data == (config.parent / "sprite.png").read_bytes()


def test_the_config_is_the_plugins_own_message(tmp_path, random):
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    path = write_projector(tmp_path, random.normal(size=(3, 2)), rows(3), name="pool")
    message = text_format.Parse(path.read_text(), ProjectorConfig())
    expected = ProjectorConfig()
    one = expected.embeddings.add()
    one.tensor_name, one.tensor_path, one.metadata_path = "pool", "tensors.tsv", "metadata.tsv"
    one.tensor_shape.extend([3, 2])
    assert message == expected


@pytest.mark.parametrize(("count", "side"), [(1, 1), (4, 2), (5, 3), (9, 3), (10, 4)])
def test_the_sheet_is_square_and_read_row_by_row(random, count, side):
    thumbnails = random.integers(0, 256, (count, 20, 10, 3), np.uint8)
    sheet, tile = sprite(thumbnails)
    assert tile == 20
    assert sheet.shape == (20 * side, 20 * side, 4)
    for index, image in enumerate(thumbnails):
        # As the plugin's shader finds a tile; it divides by the number of rows.
        x, y = index % side, index // side
        found = sheet[20 * y : 20 * (y + 1), 20 * x : 20 * (x + 1)]
        np.testing.assert_array_equal(found[:, 5:15, :3], image)
        assert (found[:, 5:15, 3] == 255).all()
        assert not found[:, :5].any()
        assert not found[:, 15:].any()
    assert (sheet[..., 3] == 255).sum() == count * 200


def test_large_thumbnails_shrink_in_proportion(monkeypatch):
    sheet, tile = sprite(np.full((2, 288, 144, 3), 90, np.uint8))
    assert tile == 64
    assert (sheet[:64, 16:48] == (90, 90, 90, 255)).all()
    assert not sheet[:64, :16].any()
    sheet, tile = sprite(np.full((1, 10, 20, 3), 90, np.uint8))
    assert tile == 20
    assert np.flatnonzero(sheet[:, 0, 3]).tolist() == [*range(5, 15)]
    monkeypatch.setattr(projector, "MAX_SPRITE", 100)
    sheet, tile = sprite(np.full((26, 288, 144, 3), 90, np.uint8))
    assert tile == 16
    assert max(sheet.shape) <= 100
    with pytest.raises(ValueError, match="at most 144"):
        sprite(np.full((145, 8, 8, 3), 90, np.uint8))


def test_without_thumbnails_an_older_sheet_goes(tmp_path, random):
    images = random.integers(0, 256, (3, 4, 4, 3), np.uint8)
    write_projector(tmp_path, random.normal(size=(3, 2)), rows(3), images)
    config = write_projector(tmp_path, random.normal(size=(3, 2)), rows(3))
    assert "sprite" not in config.read_text()
    assert sorted(os.listdir(tmp_path)) == [name for name in FILES if name != "sprite.png"]


def test_labels_cannot_break_the_table(tmp_path):
    metadata = [{"name": "a\tb\nc", "camera": None}, {"name": "", "camera": -1}]
    write_projector(tmp_path, np.eye(2), metadata)
    assert (tmp_path / "metadata.tsv").read_text() == "name\tcamera\na b c\tNone\n-\t-1\n"
    write_projector(tmp_path, np.eye(2), [{"name": "x"}, {"name": "y"}])
    assert (tmp_path / "metadata.tsv").read_text() == "x\ny\n"  # one column has no header


def test_a_failure_leaves_the_old_files_whole(tmp_path, monkeypatch):
    write_projector(tmp_path, np.eye(3), rows(3), np.zeros((3, 4, 4, 3), np.uint8))
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    with pytest.raises(ValueError, match="uint8"):
        write_projector(tmp_path, 2 * np.eye(3), rows(3), np.zeros((3, 4, 4, 3)))

    def full_disk(file, *args, **kwargs):
        file.write(b"half a tab")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savetxt", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_projector(tmp_path, 2 * np.eye(3), rows(3))
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before
    assert sorted(os.listdir(tmp_path)) == FILES


def test_every_file_is_written_whole_and_the_config_last(tmp_path, monkeypatch):
    written, real = [], projector.atomic_file

    def spy(path, mode="wb"):
        written.append(path.name)
        return real(path, mode)

    monkeypatch.setattr(projector, "atomic_file", spy)
    write_projector(tmp_path, np.eye(2), rows(2), np.zeros((2, 8, 4, 3), np.uint8))
    assert written == ["tensors.tsv", "metadata.tsv", "sprite.png", "projector_config.pbtxt"]


def test_a_sprite_is_a_picture_with_transparency(tmp_path, random):
    write_projector(tmp_path, np.eye(2), rows(2), random.integers(0, 256, (2, 8, 4, 3), np.uint8))
    with Image.open(tmp_path / "sprite.png") as image:
        assert image.mode == "RGBA"
        assert image.size == (16, 16)


@pytest.mark.parametrize(
    ("embeddings", "metadata", "thumbnails", "message"),
    [
        (np.ones((2, 3, 3)), rows(2), None, r"expected finite \[M, D\]"),
        (np.array([[1.0, np.inf]]), rows(1), None, "1 numbers of them not finite"),
        (np.ones((2, 3)), rows(3), None, "2 embeddings, 3 rows of metadata and no thumbnails"),
        (np.ones((2, 3)), rows(2), np.zeros((1, 4, 4, 3), np.uint8), "and 1 thumbnails"),
        (np.ones((2, 3)), [{"identity": 1}, {"camera": 1}], None, "metadata row 1"),
        (np.ones((1, 3)), [{}], None, "at least one"),
        (np.ones((1, 3)), rows(1), np.zeros((1, 4, 4), np.uint8), r"uint8 \[M, H, W, 3\]"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, embeddings, metadata, thumbnails, message
):
    with pytest.raises(ValueError, match=message):
        write_projector(tmp_path, embeddings, metadata, thumbnails)
    assert not os.listdir(tmp_path)
