"""What is handed to the pictures: each image with its own caption, each list in the evaluator's order."""

import dataclasses
import json

import numpy as np
import pytest

import mmgl_tf.modes.evaluation.retrieval_pictures as drawn
from mmgl_tf.modes.reading import open_stores
from mmgl_tf.pipelines.readers.regdb import PROTOCOL as REGDB
from mmgl_tf.pipelines.readers.sysu import PROTOCOL as SYSU
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE
from mmgl_tf.retrieval.protocols import evaluate
from tests.modes.labelled_files import recognise, write_people
from tests.modes.plain_embedder import PlainEmbedder
from tests.modes.recorded_pictures import Scene, by_hand
from tests.modes.small_run import settings

BROKEN = ((3, 1, 1), (8, 4, 0), (5, 3, 0))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """{protocol name: (splits, stores, images by their pixels)}."""
    found = {}
    for protocol in (SYSU, REGDB):
        root = tmp_path_factory.mktemp(protocol.name)
        splits = write_people(root / "people", BROKEN, protocol)
        config = settings(on_bad_image="skip", cache=False, cache_dir=str(root / "cache"))
        found[protocol.name] = (
            splits,
            open_stores(config.data, splits, ("query", "gallery")),
            recognise(splits),
        )
    return found


@pytest.fixture
def scene(people, tmp_path, monkeypatch):
    return lambda **changes: Scene(tmp_path, monkeypatch, people, **changes)


@pytest.mark.parametrize(("protocol", "queries"), [(SYSU, 15), (REGDB, 30)])
def test_ranked_lists_are_the_evaluators_and_images_belong_to_their_captions(scene, protocol, queries):
    # As many shots as there are frames: the draw is the whole gallery, in another order.
    case = scene(protocol=dataclasses.replace(protocol, shots=(2,)), shown_queries=40)
    case.pictures.ranked_lists(case.network())
    (shown, found, right, captions, lists), options = case.given["ranked_lists"]
    assert len(shown) == queries and options["rule"] == f"all {queries} queries"
    cameras = set()
    for row, query in enumerate(shown):
        sample = case.sample(query)
        assert captions[row] == case.caption(query)
        expected = by_hand(sample, case.splits, case.known, PlainEmbedder())
        assert [case.sample(pixels) for pixels in found[row]] == expected[:10]
        assert lists[row] == [case.caption(pixels) for pixels in found[row]]
        same = [other.identity == sample.identity for other in expected]
        assert right[row].tolist() == same[:10]
        assert options["first_right"][row] == same.index(True) + 1
        cameras |= {(sample.camera, other.camera) for other in expected}
    assert set(options["first_right"]) != {1}, "all right at once: nothing would be tested"
    if protocol is SYSU:
        assert (3, 2) not in cameras and (6, 2) in cameras
    assert options["title"].endswith(": run")


def test_the_gallery_is_that_of_trial_0_and_the_sheet_says_so(scene):
    case = scene(shown_queries=5)
    case.pictures.ranked_lists(case.network())
    (_, found, *_), options = case.given["ranked_lists"]
    # One image of each person and camera, 16; a query of camera 3 sees the 12 that are not camera 2's.
    assert found.shape == (5, 10, 96, 48, 3)
    seen = [case.sample(pixels) for row in found for pixels in row]
    galleries = {(sample.identity, sample.camera): set() for sample in seen}
    for sample in seen:
        galleries[sample.identity, sample.camera].add(sample.path)
    assert {len(paths) for paths in galleries.values()} == {1}
    assert options["split"] == (
        "Test people of sysu (people); all search, 1-shot, infrared to visible, gallery of trial 0, 16 "
        "gallery images"
    )
    assert options["rule"] == "5 of 15 queries, drawn at random with seed 6"


def test_a_published_draw_is_followed(scene):
    case = scene(shown_queries=40)
    groups = {}
    for sample in case.images.samples[VISIBLE]:
        groups.setdefault((sample.camera, sample.identity), []).append(sample)
    frames = {camera: {} for camera, _ in groups}
    for (camera, identity), found in groups.items():
        order = np.arange(1, len(found) + 1)
        frames[camera][identity] = np.array([order[::-1]] + 9 * [order])  # trial 0: the last one first
    case.rules |= {"draw": "official", "permutations": frames}
    case.pictures.ranked_lists(case.network())
    (_, found, *_), _ = case.given["ranked_lists"]
    seen = {case.sample(pixels) for row in found for pixels in row}
    assert seen == {images[-1] for images in groups.values()}


def test_lists_are_cut_to_the_shortest(scene):
    protocol = dataclasses.replace(SYSU, gallery_cameras={"few": (1, 2)}, excluded_cameras={3: (2,)})
    case = scene(protocol=protocol, shown_queries=40)
    case.pictures.ranked_lists(case.network())
    (_, found, right, _, lists), _ = case.given["ranked_lists"]
    assert found.shape[1] == right.shape[1] == 4 and {len(row) for row in lists} == {4}


def test_maps_show_the_same_people_before_and_after(scene):
    case = scene(shown_identities=3)
    after, before = (
        case.network(),
        case.network("pre-trained, before fine-tuning", strength=3.0, weights="first"),
    )
    case.pictures.embedding_map([after], [before])
    (panels, visible, infrared), options = case.given["embedding_map"]
    assert list(panels) == ["pre-trained, before fine-tuning", "run, fine-tuned"]
    people = set(visible)
    assert len(people) == 3 and people == set(infrared)
    assert options["selection"] == "3 of 4 people, drawn at random with seed 6" and options["seed"] == 6
    for (left, right), source in zip(panels.values(), (before, after), strict=True):
        for features, identities, side in (
            (left, visible, source.found[VISIBLE]),
            (right, infrared, source.found[INFRARED]),
        ):
            kept = [row for row, identity in enumerate(side.identities) if identity in people]
            np.testing.assert_array_equal(identities, side.identities[kept])
            np.testing.assert_array_equal(features, side.features[kept])


def test_a_map_of_several_runs_says_whose_start_is_whose(scene):
    case = scene()
    start = case.network("random initialisation", strength=2.0)
    case.pictures.embedding_map(
        [case.network("a"), case.network("b"), case.network("c")], [start, None, start]
    )
    (panels, *_), _ = case.given["embedding_map"]
    assert list(panels) == [
        *("a: random initialisation", "a, fine-tuned", "b"),
        *("c: random initialisation", "c, fine-tuned"),
    ]


def test_match_curves_are_those_of_the_table(scene):
    case = scene(trials=4, rerank=True, count_identities="never")
    networks = [case.network("a"), case.network("b", strength=30.0, weights="last")]
    case.pictures.match_curves(networks)
    (curves,), options = case.given["match_curves"]
    for one in networks:
        expected = evaluate(
            one.found[INFRARED],
            one.found[VISIBLE],
            dataclasses.replace(SYSU, identity_once=False),
            trials=4,
            rerank=case.rules["rerank"],
        )
        np.testing.assert_array_equal(curves[one.name], expected.cmc())
        assert options["mean_average_precisions"][one.name] == expected.mean("mAP")
        plain = evaluate(one.found[INFRARED], one.found[VISIBLE], SYSU)
        assert plain.mean("mAP") != expected.mean("mAP")
    assert options["protocol"] == (
        "Test people of sysu (people); all search, 1-shot, infrared to visible; mean of 4 seeded gallery "
        "draws, each gallery image counts as a place, k-reciprocal re-ranking; best and last weights"
    )
    case.pictures.ranked_lists(networks[0])
    assert "16 gallery images, before re-ranking" in case.given["ranked_lists"][1]["split"]


def test_regdbs_trials_are_other_people_and_no_draws(scene):
    case = scene(protocol=REGDB, trial=7)
    case.pictures.match_curves([case.network()])
    (curves,), options = case.given["match_curves"]
    one = case.network()
    np.testing.assert_array_equal(
        curves["run"], evaluate(one.found[VISIBLE], one.found[INFRARED], REGDB).cmc()
    )
    assert options["protocol"] == (
        "Test people of regdb (people), trial 7; whole gallery, visible to infrared; each gallery image "
        "counts as a place; best weights"
    )
    case.pictures.ranked_lists(one)
    assert case.given["ranked_lists"][1]["split"] == (
        "Test people of regdb (people), trial 7; whole gallery, visible to infrared, 15 gallery images"
    )


def test_activation_maps_are_of_the_people_named(scene):
    case = scene()
    case.pictures.activation_maps(case.network())
    (visible, infrared, visible_maps, infrared_maps, names), options = case.given["activation_maps"]
    assert names == [f"person {identity}" for identity in (3, 5, 8, 13)]
    assert options["rule"] == "all 4 people; the first image of each modality"
    for modality, shown, maps in ((VISIBLE, visible, visible_maps), (INFRARED, infrared, infrared_maps)):
        for name, pixels, found in zip(names, shown, maps, strict=True):
            sample = case.sample(pixels)
            assert (f"person {sample.identity}", sample.modality) == (name, modality)
            assert sample == next(s for s in case.images.samples[modality] if s.identity == sample.identity)
            expected = PlainEmbedder().map_by_hand(pixels, MODALITIES[modality])
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("most", "count", "protocol"), [(1000, 4, SYSU), (26, 2, SYSU), (1000, 4, REGDB)])
def test_rows_of_the_projector_belong_together(scene, monkeypatch, most, count, protocol):
    monkeypatch.setattr(drawn, "PROJECTED", most)
    case = scene(protocol=protocol)
    case.pictures.projector(case.network())
    (root, features, metadata, thumbnails), options = case.given["write_projector"]
    assert root == case.pictures.root / "tensorboard" and options == {"name": "neck"}
    assert len({row["identity"] for row in metadata}) == count
    assert len(features) == len(metadata) == len(thumbnails) >= 20
    assert {row["modality"] for row in metadata} == {"visible", "infrared"}
    for vector, row, pixels in zip(features, metadata, thumbnails, strict=True):
        sample = case.sample(pixels)
        assert row == {
            "identity": sample.identity,
            "modality": MODALITIES[sample.modality],
            "camera": "unknown" if sample.camera is None else sample.camera,
        }
        expected = PlainEmbedder().by_hand(pixels, MODALITIES[sample.modality])
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def rows(*rank1):
    found = [{"epoch": epoch, "step": 3 * epoch, "loss/total": 1.0} for epoch in range(3)]
    return [row | {"validation/rank1": r, "validation/mAP": r} for row, r in zip(found, rank1, strict=True)]


def written(root, content, dataset="sysu"):
    root.mkdir(parents=True)
    (root / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    (root / "config.json").write_text(json.dumps({"dataset": dataset}))
    return root


def test_curves_are_of_the_runs_that_have_them_and_say_on_whom(scene, monkeypatch, tmp_path):
    case = scene()
    for name in ("training_curves", "accuracy_over_epochs"):
        monkeypatch.setattr(drawn, name, case.note(name))
    runs = {
        "a": written(tmp_path / "a", rows(0.1, 0.2, 0.3)),
        "b": written(tmp_path / "b", [{"epoch": 0, "loss/total": 1.0}]),
        "c": tmp_path / "none",
    }
    assert set(case.pictures.curves(runs)) == {"training_curves", "accuracy_over_epochs"}
    assert set(case.given["training_curves"][0][0]) == {"a", "b"}
    assert case.given["accuracy_over_epochs"][0][0] == {"a": rows(0.1, 0.2, 0.3)}
    said = case.given["accuracy_over_epochs"][1]["note"]
    assert said == "Validation people of sysu, all search, 1-shot, infrared to visible."
    # The run was trained elsewhere; how it was validated there is not how people are searched here.
    elsewhere = written(tmp_path / "d", rows(0.1, 0.2, 0.3), "regdb")
    case.pictures.curves({"d": elsewhere, "a": runs["a"]})
    assert case.given["accuracy_over_epochs"][1]["note"] == "Validation people of regdb and sysu."
    assert case.pictures.curves({"b": runs["b"]}).keys() == {"training_curves"}
    assert case.pictures.curves({"c": runs["c"]}) == {}


def test_every_picture_is_written_numbered_where_there_are_several_runs(scene, tmp_path):
    case = scene()
    run = written(tmp_path / "a", rows(0.1, 0.2, 0.3))
    paths = case.pictures.write([case.network("a")], [None], {"a": run})
    single = {"embedding_map", "match_curves", "training_curves", "accuracy_over_epochs"}
    assert {path.stem for path in paths} == single | {"ranked_lists", "activation_maps"}
    networks = [case.network("a"), case.network("b", strength=5.0)]
    paths = case.pictures.write(networks, [None, None], {"a": run})
    numbered = {f"{name}_{number}" for name in ("ranked_lists", "activation_maps") for number in (1, 2)}
    assert {path.stem for path in paths} == single | numbered
    assert all(path.parent == tmp_path / "out" / "pictures" and path.is_file() for path in paths)
    assert case.given["ranked_lists"][1]["title"].endswith(": b")
    np.testing.assert_array_equal(
        case.given["write_projector"][0][1],
        np.concatenate([networks[0].found[m].features for m in (VISIBLE, INFRARED)]),
    )
    (events,) = (tmp_path / "out" / "tensorboard").glob("events*")
    logged = events.read_bytes()
    assert all(f"retrieval/{path.stem}".encode() in logged for path in paths)
