import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_info

from mmgl_tf.retrieval.geometry import geometry
from mmgl_tf.visualization import embedding_map as module
from mmgl_tf.visualization.embedding_map import embedding_map, tsne_positions

WORDS = {
    "modality gap": "modality_gap",
    "compactness": "compactness",
    "d'": "d_prime",
    "same person": "positive_similarity",
    "others": "negative_similarity",
}
TEXTS = {"split": "test people", "selection": "all 3 people"}


@pytest.fixture
def random():
    return np.random.default_rng(5)


@pytest.fixture
def quick(monkeypatch):
    """Places without t-SNE, and a record of what is drawn."""
    seen = {"sentences": [], "panels": []}
    monkeypatch.setattr(
        module,
        "tsne_positions",
        lambda embeddings, **kwargs: (seen.update(kwargs), np.asarray(embeddings, float)[:, :2])[1],
    )
    scatter, text = module._scatter, Figure.text

    def spy_scatter(axes, places, person, count, colours):
        seen["panels"].append((axes, places, person, count))
        scatter(axes, places, person, count, colours)

    def spy_text(figure, x, y, s, **kwargs):
        seen["sentences"].append(s)
        return text(figure, x, y, s, **kwargs)

    monkeypatch.setattr(module, "_scatter", spy_scatter)
    monkeypatch.setattr(Figure, "text", spy_text)
    return seen


def clusters(random, people=4, each=15):
    person = np.repeat(np.arange(people), each)
    return np.eye(8)[person] + 0.15 * random.normal(size=(people * each, 8)), person


def test_neighbours_in_the_plane_are_the_same_people(random):
    vectors, person = clusters(random)
    places = tsne_positions(vectors, perplexity=10)
    assert places.shape == (60, 2)
    distances = np.linalg.norm(places[:, None] - places, axis=-1) + np.diag(np.full(60, np.inf))
    assert (person[distances.argmin(axis=1)] == person).all()


def test_the_map_repeats_bit_for_bit_whatever_the_length_and_the_threads(random, monkeypatch):
    vectors, _ = clusters(random)
    threads = []
    real = TSNE.fit_transform

    def spy(self, X, y=None):
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        assert self.metric == "cosine"
        return real(self, X, y)

    monkeypatch.setattr(TSNE, "fit_transform", spy)
    first = tsne_positions(vectors, seed=2)
    # Powers of two change no digit of a float, so that only the lengths differ.
    lengths = 2.0 ** random.integers(-3, 4, (60, 1))
    np.testing.assert_array_equal(tsne_positions(lengths * vectors, seed=2), first)
    assert set(threads) == {1}
    assert not np.array_equal(tsne_positions(vectors, seed=3), first)


def test_the_start_is_the_two_main_directions_with_a_fixed_sign(random):
    vectors = random.normal(size=(40, 6)) * [5, 3, 1, 0.2, 0.2, 0.2] + 4.0
    start = module._start(vectors, 0)
    variances, directions = np.linalg.eigh(np.cov(vectors.T))
    for column, direction in enumerate(directions.T[::-1][:2]):
        expected = (vectors - vectors.mean(axis=0)) @ direction
        assert abs(np.corrcoef(start[:, column], expected)[0, 1]) > 0.999
        assert start[np.abs(start[:, column]).argmax(), column] > 0
    assert start[:, 0].std() == pytest.approx(1e-4, rel=0.01)
    assert start[:, 1].std() == pytest.approx(1e-4 * np.sqrt(variances[-2] / variances[-1]), rel=0.02)
    np.testing.assert_allclose(module._start(-vectors, 0).std(axis=0), start.std(axis=0), rtol=0.02)


@pytest.mark.parametrize("vectors", [np.ones((12, 4)), np.zeros((5, 4)), np.eye(2), np.ones((3, 1))])
def test_collapsed_and_tiny_sets_are_still_drawn(vectors):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(tsne_positions(vectors)).all()


@pytest.mark.parametrize("vectors", [np.ones((1, 4)), np.array([[1.0, np.nan], [0.0, 1.0]]), np.ones(4)])
def test_what_cannot_be_mapped_is_refused(vectors):
    with pytest.raises(ValueError, match="expected finite"):
        tsne_positions(vectors)


def test_panels_show_both_modalities_with_their_own_figures(random, quick):
    identities = np.array([9, 4, 4, 7]), np.array([7, 9, 4])
    panels = {
        name: (random.normal(size=(4, 5)), random.normal(size=(3, 5))) for name in ("random", "MMGL", "tuned")
    }
    picture = embedding_map(panels, *identities, **TEXTS, seed=11, perplexity=7.0)
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (1600, 3)
    assert quick["seed"] == 11
    assert quick["perplexity"] == 7.0
    said = " ".join(quick["sentences"])
    for words in ("Test people: all 3 people", "4 visible and 3 infrared", "perplexity 7,", "seed 11"):
        assert words in said
    for (name, pair), (axes, places, person, count) in zip(panels.items(), quick["panels"], strict=True):
        assert axes.get_title() == name
        np.testing.assert_array_equal(places, np.concatenate(pair)[:, :2])
        assert person.tolist() == [2, 0, 0, 1, 1, 2, 0]
        assert count == 4
        figures = geometry(*pair, *identities)
        shown = axes.get_xlabel()
        for words, key in WORDS.items():
            assert f"{words} {round(figures[key], 2) + 0.0:.2f}" in shown


def test_visible_is_a_circle_infrared_a_triangle_and_colour_the_person(quick):
    places = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 1.0]])
    embedding_map({"one": places}, [3, 5], [5], **TEXTS)
    axes = quick["panels"][0][0]
    drawn = {
        tuple(c.get_offsets()[0]): (len(c.get_paths()[0].vertices), tuple(c.get_facecolor()[0][:3]))
        for c in axes.collections
        if len(c.get_offsets())
    }
    triangle, circle = drawn[0.0, 1.0][0], drawn[0.0, 0.0][0]
    assert triangle == 4
    assert circle == drawn[1.0, 0.0][0] > 10
    assert drawn[0.0, 1.0][1] == drawn[1.0, 0.0][1] != drawn[0.0, 0.0][1]


@pytest.mark.parametrize(("panels", "people"), [(1, 2), (2, 12), (4, 30)])
def test_any_number_of_panels_and_people_fits_the_page(random, quick, panels, people):
    identities = np.repeat(np.arange(people), 2)
    pairs = {str(k): (random.normal(size=(2 * people, 4)),) * 2 for k in range(panels)}
    picture = embedding_map(pairs, identities, identities, **TEXTS)
    assert picture.shape[1] == (800 if panels == 1 else 1600)
    assert (picture[:, -10:] == 255).all()
    for axes, *_ in quick["panels"]:
        assert sum(len(points.get_offsets()) for points in axes.collections) == 4 * people
    assert len({tuple(colour) for colour in module._colours(people)}) == people


def test_no_panel_and_figures_that_do_not_exist(quick):
    with pytest.raises(ValueError, match="Got no panel"):
        embedding_map({}, [1], [1], **TEXTS)
    embedding_map({"one": (np.eye(2), np.eye(2))}, [1, 1], [1, 1], **TEXTS)
    assert "compactness -," in quick["panels"][0][0].get_xlabel()
    with pytest.raises(ValueError, match="one identity an image"):
        embedding_map({"one": (np.eye(2), np.eye(2))}, [1], [1, 1], **TEXTS)
