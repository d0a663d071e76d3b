"""A look's batch without padding: each tensor's rows are those of the modalities that the recipe says."""

import numpy as np
import pytest

from mmgl_tf.modes.training.pretrain import without_padding
from mmgl_tf.pipelines.batches.recipe import LabColour, Labels, Permutation, Recipe, View, each_modality
from mmgl_tf.pipelines.batches.recipe_engine import RecipeEngine, rows_by_modality
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, Sample, Split

BOTH = (VISIBLE, INFRARED)
# Views may have any name.
NAMED = Recipe((View("a", VISIBLE), View("heat", INFRARED), View("infrared_like", VISIBLE, stream=1)))
SIZE = (48, 24)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (NAMED, {"a": (VISIBLE,), "heat": (INFRARED,), "infrared_like": (VISIBLE,)}),
        (
            Recipe(each_modality([[()], [()]]), (Permutation(6), Labels())),
            {"visible": (VISIBLE,), "infrared": (INFRARED,), "permutation": BOTH, "labels": BOTH},
        ),
        (
            Recipe(each_modality([[()], [()]]), (LabColour(),)),
            {"visible": (VISIBLE,), "infrared": (INFRARED,), "ab": (VISIBLE,)},
        ),
        (
            Recipe(each_modality([[], [()]]), (Labels(),)),
            {"infrared": (INFRARED,), "labels": (INFRARED,)},
        ),
    ],
)
def test_the_recipe_says_whose_rows_a_tensor_has(recipe, expected):
    rows = rows_by_modality(recipe, SIZE)
    assert rows == expected
    specs = RecipeEngine(recipe, SIZE, threads=1).specs(5)
    assert {name: shape[0] for name, (shape, _) in specs.items()} == {
        name: 5 * len(rows[name]) for name in rows if name != "labels"
    }


def test_padding_is_taken_from_each_tensor_by_the_modality_of_its_rows():
    samples = tuple(Sample(str(n), 10 + n, 1, modality) for modality in BOTH for n in range(3))
    batch = {
        "a": np.arange(3),
        "infrared_like": np.arange(3) + 20,
        "heat": np.arange(3) + 10,
        "labels": np.arange(6),
        "weight": np.array([1, 1, 0, 1, 0, 0]),
        "index": np.array([2, 0, 0, 1, 0, 0]),
    }
    rows = rows_by_modality(NAMED, SIZE) | {"labels": BOTH}
    kept, people = without_padding(batch, Split("validation", samples), rows)
    assert {name: value.tolist() for name, value in kept.items()} == {
        "a": [0, 1],
        "infrared_like": [20, 21],
        "heat": [10],
        "labels": [0, 1, 3],
    }
    assert [half.tolist() for half in people] == [[12, 10], [11]]
