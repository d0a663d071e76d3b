import json
import os

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.flags.config import from_flat
from mmgl_tf.modes.search import embed as embed_module
from mmgl_tf.modes.search import search as module
from mmgl_tf.modes.search.embed import embed
from mmgl_tf.modes.search.search import search
from mmgl_tf.modes.search.search_results import LINES
from tests.modes.plain_source import PlainSource


@pytest.fixture
def source(monkeypatch):
    """Replaces the model of both modes."""
    asked = []

    def use(**options):
        def opened(config):
            asked.append(config)
            return PlainSource(**options)

        monkeypatch.setattr(embed_module, "open_source", opened)
        monkeypatch.setattr(module, "open_source", opened)
        return asked

    use()
    return use


def draw(path, seed, noise=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(40, 216, (16, 8, 3))
    pixels += np.random.default_rng(1000 + seed).integers(-noise, noise + 1, (16, 8, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def config(mode, workdir, **changes):
    return from_flat({"mode": mode, "workdir": str(workdir), "batch_size": 4} | changes)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run's directory as about.json names it: PlainSource's path, relative to the current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "plain").mkdir(parents=True)
    (tmp_path / "runs" / "plain" / "config.json").write_text(json.dumps({"mode": "finetune"}))


@pytest.fixture
def gallery(tmp_path, run, source):
    """12 visible images and their embeddings."""
    for number in range(12):
        draw(tmp_path / "gallery" / "visible" / f"{number:02d}.png", number)
    embed(config("embed", tmp_path / "embedded", images=str(tmp_path / "gallery")))
    return tmp_path / "embedded"


@pytest.fixture
def queries(tmp_path):
    """Noisy copies of gallery images 7 and 2."""
    for place, number in enumerate((7, 2)):
        draw(tmp_path / "queries" / "visible" / f"{place}.bmp", number, noise=30)
    return tmp_path / "queries"


def look(tmp_path, gallery, queries, **changes):
    chosen = {"gallery": str(gallery), "images": str(queries), "top_k": 3}
    assert search(config("search", tmp_path / "found", **chosen | changes)) == 0
    return json.loads((tmp_path / "found" / "results.json").read_text())


@pytest.mark.parametrize("index", ["exact", "faiss"])
def test_each_query_finds_its_copy_first_in_every_output(tmp_path, gallery, queries, index, capsys):
    if index == "faiss":
        pytest.importorskip("faiss")
    capsys.readouterr()
    results = look(tmp_path, gallery, queries, search_index=index)
    printed = capsys.readouterr().out
    assert [os.path.basename(query["found"][0]["path"]) for query in results["queries"]] == [
        "07.png",
        "02.png",
    ]
    assert [entry["place"] for entry in results["queries"][0]["found"]] == [1, 2, 3]
    assert results["queries"][0]["found"][0]["position"] == 7
    assert "-1 to 1" in results["similarity"]
    files = [path.read_bytes() for path in sorted((tmp_path / "gallery").rglob("*.png"))]
    query = PlainSource().embed([(queries / "visible" / "0.bmp").read_bytes()], np.zeros(1))[0]
    similarities = PlainSource().embed(files, np.zeros(12)) @ query
    best = np.argsort(-similarities)[:3]
    assert [entry["position"] for entry in results["queries"][0]["found"]] == best.tolist()
    got = [entry["similarity"] for entry in results["queries"][0]["found"]]
    np.testing.assert_allclose(got, similarities[best], atol=1e-6)
    rows = [line.split("\t") for line in (tmp_path / "found" / "results.tsv").read_text().splitlines()]
    assert rows[0] == ["query", "query_modality", "place", "similarity", "gallery", "gallery_modality"]
    assert len(rows) == 1 + 2 * 3
    assert rows[1][1:3] == ["visible", "1"]
    assert float(np.float32(rows[1][3])) == got[0]
    assert f"{got[0]:.4f}" in printed
    assert "cosine" in printed
    picture = Image.open(tmp_path / "found" / "ranked.png")
    assert picture.size[0] >= 640


def test_queries_may_be_embedded_already(tmp_path, gallery, queries):
    embed(config("embed", tmp_path / "asked", images=str(queries)))
    already = look(tmp_path, gallery, tmp_path / "asked")
    assert already["queries"] == look(tmp_path, gallery, queries)["queries"]


def test_a_list_longer_than_the_gallery_ends_with_it_and_a_file_in_both_is_marked(tmp_path, gallery, capsys):
    results = look(tmp_path, gallery, tmp_path / "gallery" / "visible" / "05.png", top_k=50)
    (query,) = results["queries"]
    assert (results["places"], len(query["found"])) == (12, 12)
    assert [entry["same_file"] for entry in query["found"]] == [True] + [False] * 11
    assert query["found"][0]["similarity"] == pytest.approx(1.0)
    assert capsys.readouterr().out.count("the query's own file") == 1


def test_modality_of_the_queries_counts(tmp_path, gallery, queries):
    visible = look(tmp_path, gallery, queries)
    infrared = look(tmp_path, gallery, queries, image_modality="infrared")
    assert infrared["queries"][0]["modality"] == "infrared"
    assert infrared["queries"][0]["found"][0]["position"] != visible["queries"][0]["found"][0]["position"]


def test_unreadable_queries_are_skipped_or_refused(tmp_path, gallery, queries):
    (queries / "visible" / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.png"):
        look(tmp_path, gallery, queries)
    results = look(tmp_path, gallery, queries, on_bad_image="skip")
    assert [os.path.basename(entry["path"]) for entry in results["skipped"]] == ["a.png"]
    assert results["num_queries"] == 2
    for path in (queries / "visible").glob("*.bmp"):
        path.unlink()
    with pytest.raises(ValueError, match="none of the 1 queries"):
        look(tmp_path, gallery, queries, on_bad_image="skip")


def test_the_gallery_s_own_model_is_used_with_its_weights_feature_and_precision(
    tmp_path, gallery, queries, source
):
    asked = source()
    look(tmp_path, gallery, queries)
    used = asked[-1]
    assert used.finetuning.init == "runs/plain"
    assert (used.export.export_weights, used.export.export_feature) == ("best", "pool")


def test_another_model_in_its_place_is_refused(tmp_path, gallery, queries, source):
    source(fingerprint="f2")
    with pytest.raises(
        ValueError, match=r"not the model any more.*\n.*were changed\n.*embed the gallery anew"
    ):
        look(tmp_path, gallery, queries)
    embed(config("embed", tmp_path / "asked", images=str(queries)))
    with pytest.raises(ValueError, match="embedded by different models"):
        look(tmp_path, gallery, tmp_path / "asked")
    assert not (tmp_path / "found").exists()


def test_a_model_without_the_gallery_s_feature_is_refused_with_the_gallery_named(
    tmp_path, gallery, queries, monkeypatch
):
    def refuse(config):
        raise ValueError("--export_feature=neck, but run has pool")

    monkeypatch.setattr(module, "open_source", refuse)
    with pytest.raises(ValueError, match=r"cannot embed as the model of --gallery=.*has pool\n.*anew"):
        look(tmp_path, gallery, queries)


def test_a_model_that_is_gone_is_named_and_may_be_found_elsewhere(tmp_path, gallery, queries):
    os.rename(tmp_path / "runs" / "plain", tmp_path / "moved")
    with pytest.raises(ValueError, match=r"runs/plain any more\. Restore it, say with --init"):
        look(tmp_path, gallery, queries)
    assert look(tmp_path, gallery, queries, init=str(tmp_path / "moved"))["num_queries"] == 2
    with pytest.raises(ValueError, match=r"there is no model in nowhere\. Leave --init out"):
        look(tmp_path, gallery, queries, init="nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gallery": ""}, "--gallery is missing"),
        ({"gallery": "nowhere"}, r"--gallery=nowhere holds no embeddings\.npz"),
        ({"images": ""}, "--images is missing"),
    ],
)
def test_what_is_missing_is_asked_for(tmp_path, gallery, queries, monkeypatch, changes, message):
    monkeypatch.chdir(gallery)  # an empty name must not mean this directory
    (gallery / "runs").symlink_to(tmp_path / "runs")
    with pytest.raises(ValueError, match=message):
        search(
            config(
                "search", tmp_path / "found", **{"gallery": str(gallery), "images": str(queries)} | changes
            )
        )


def test_the_terminal_shows_whole_lists_in_plain_characters_and_says_what_it_leaves_out(
    tmp_path, gallery, capsys
):
    for number in range(LINES // 4 + 3):
        draw(tmp_path / "many" / "visible" / f"{number:03d}\t\n\x1b人.png", number)
    capsys.readouterr()
    look(tmp_path, gallery, tmp_path / "many")
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert "\x1b" not in printed
    assert r"014\t\n\x1b\u4eba.png" in printed
    assert "015" not in printed
    assert "and 3 more queries in results.tsv" in printed
    lines = (tmp_path / "found" / "results.tsv").read_text().split("\n")
    assert {line.count("\t") for line in lines[:-1]} == {5}


def test_the_sheet_shows_the_first_queries_says_so_and_survives_missing_files(
    tmp_path, gallery, queries, monkeypatch
):
    sheets, real = [], module.search_picture.__globals__["ranked_lists"]

    def spy(*args, **kwargs):
        sheets.append((args, kwargs))
        return real(*args, **kwargs)

    monkeypatch.setitem(module.search_picture.__globals__, "ranked_lists", spy)
    (tmp_path / "gallery" / "visible" / "07.png").unlink()
    look(tmp_path, gallery, queries, shown_queries=1, top_k=12)
    ((images, lists, right, asked, captions), said) = sheets[0]
    assert (images.shape[0], lists.shape[:2], right) == (1, (1, 10), None)
    assert len(np.unique(lists[0, 0])) == 2  # a cross where an image was
    assert len(np.unique(lists[0, 1])) > 2
    assert asked == ["visible/0.bmp\nvisible"]
    assert captions[0][0].endswith("\nvisible/07.png\nvisible")
    assert said["rule"].startswith("the first 1 of 2 queries")
    assert "the first 10 places" in said["rule"]
    assert "gallery of 12 images" in said["split"]
