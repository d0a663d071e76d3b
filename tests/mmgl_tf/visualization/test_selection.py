import numpy as np
import pytest

from mmgl_tf.visualization.selection import random_choice


def test_the_draw_is_a_function_of_its_arguments_and_says_what_it_did():
    people = np.array([31, 7, 99, 12, 5, 64])
    chosen, sentence = random_choice(people, 4, seed=3, noun="test people")
    again, _ = random_choice(people, 4, seed=3, noun="test people")
    assert chosen.tolist() == again.tolist()
    assert len(set(chosen.tolist())) == 4
    assert sentence == "4 of 6 test people, drawn at random with seed 3"
    places = [people.tolist().index(person) for person in chosen]
    assert places == sorted(places)  # the order of the candidates


def test_every_candidate_has_the_same_chance():
    counts = np.zeros(5)
    for seed in range(600):
        counts[random_choice(np.arange(5), 2, seed=seed, noun="queries")[0]] += 1
    # 240 each; the standard deviation of a count is 12.
    assert np.abs(counts - 240).max() < 48


@pytest.mark.parametrize("count", [3, 10])
def test_all_are_shown_when_there_are_no_more(count):
    chosen, sentence = random_choice([4, 1, 9], count, seed=0, noun="queries")
    assert chosen.tolist() == [4, 1, 9]
    assert sentence == "all 3 queries"


@pytest.mark.parametrize(("candidates", "count"), [([], 3), ([1, 2], 0), ([[1, 2]], 1)])
def test_nothing_to_draw_is_an_error(candidates, count):
    with pytest.raises(ValueError, match="at least one of a list"):
        random_choice(candidates, count, seed=0, noun="queries")
