"""One network three ways: the run, its export, and a search of either's embeddings."""

import json

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.flags.reading import configs_of
from mmgl_tf.modes import MODES
from mmgl_tf.modes.search.embedded_files import read_embedded
from tests.modes.small_run import settings, write_run


@pytest.mark.slow
def test_an_exported_model_embeds_and_searches_as_its_run_does(tmp_path):
    write_run(tmp_path / "run", settings(cache_dir=str(tmp_path / "cache")), embedders=("best", "last"))
    for number in range(12):
        path = tmp_path / "images" / ("visible", "infrared")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (64, 32, 3), np.uint8)
        Image.fromarray(pixels).save(path)

    def run(mode, **typed):
        (config,) = configs_of({"mode": mode, **{name: str(value) for name, value in typed.items()}})
        return MODES[mode](config)

    (config,) = configs_of({"mode": "export", "init": str(tmp_path / "run"), "skip_metrics": True})
    assert MODES["export"](config) == 0
    inits = {"of_run": tmp_path / "run", "of_export": tmp_path / "run" / "export" / "mmgl"}
    for name, init in inits.items():
        run("embed", init=init, images=tmp_path / "images", workdir=tmp_path / name)
    of_run, of_export = (read_embedded(tmp_path / name) for name in inits)
    assert of_run.paths == of_export.paths
    np.testing.assert_array_equal(of_run.modality, of_export.modality)
    np.testing.assert_allclose(of_export.embeddings, of_run.embeddings, rtol=0, atol=1e-5)
    found = []
    for name in inits:
        query = tmp_path / "images" / "visible" / "4.png"
        run("search", gallery=tmp_path / name, images=query, workdir=tmp_path / f"search_{name}")
        found.append(json.loads((tmp_path / f"search_{name}" / "results.json").read_text())["queries"][0])
    assert [len(query["found"]) for query in found] == [10, 10]
    assert {query["found"][0]["same_file"] for query in found} == {True}
    for entries in zip(*(query["found"] for query in found), strict=True):
        assert entries[0]["similarity"] == pytest.approx(entries[1]["similarity"], abs=1e-5)
    with pytest.raises(ValueError, match="embedded by different models"):
        run("search", gallery=tmp_path / "of_run", images=tmp_path / "of_export", workdir=tmp_path / "no")
