import numpy as np
import pytest

from mmgl_tf.pretraining.monitor.soft_matching import soft_matching


@pytest.fixture
def random():
    return np.random.default_rng(7)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def orders(random, count, size):
    return random.permuted(np.tile(np.arange(size), (count, 1)), axis=1)


def slow_matching(queries, keys, query_parts, key_parts, query_ids, key_ids, temperature):
    """One direction, one query at a time, as the definitions read."""
    queries, keys = unit(queries), unit(keys)
    num_stripes = queries.shape[1]
    part_mass, slot_mass, effective, returned = [], [], [], []
    part_rows, slot_rows = np.zeros((num_stripes,) * 2), np.zeros((num_stripes,) * 2)
    on_person, expected = 0.0, 0.0
    for b in range(len(queries)):
        for n in range(num_stripes):
            query, weights, labels = queries[b, n], [], []
            for c in range(len(keys)):
                for m in range(num_stripes):
                    weights.append(np.exp(query @ keys[c, m] / temperature))
                    labels.append((key_parts[c, m], m, key_ids[c], keys[c, m]))
            weights = np.array(weights) / np.sum(weights)
            part, person = query_parts[b, n], query_ids[b]
            part_mass.append(sum(w for w, key in zip(weights, labels, strict=True) if key[0] == part))
            slot_mass.append(sum(w for w, key in zip(weights, labels, strict=True) if key[1] == n))
            effective.append(np.exp(-sum(w * np.log(w) for w in weights)))
            for w, key in zip(weights, labels, strict=True):
                part_rows[part, key[0]] += w / len(queries)
                slot_rows[n, key[1]] += w / len(queries)
                on_person += w * (key[0] == part) * (key[2] == person)
            rightful = [key[2] == person for key in labels if key[0] == part]
            expected += part_mass[-1] * np.mean(rightful)
            neighbour = unit(sum(w * key[3] for w, key in zip(weights, labels, strict=True)))
            back = np.exp(queries[b] @ neighbour / temperature)
            returned.append(back[n] / back.sum())
    means = [np.mean(values) for values in (part_mass, slot_mass, effective, returned)]
    return [*means, on_person / expected, part_rows, slot_rows]


def test_matching_equals_the_slow_loop_averaged_over_directions(random):
    visible, infrared = random.normal(size=(5, 4, 6)), random.normal(size=(7, 4, 6))
    visible_parts, infrared_parts = orders(random, 5, 4), orders(random, 7, 4)
    visible_ids, infrared_ids = np.array([1, 2, 3, 3, 9]), np.array([3, 1, 1, 2, 2, 3, 8])
    result = soft_matching(visible, infrared, visible_parts, infrared_parts, visible_ids, infrared_ids, 0.3)
    forth = slow_matching(visible, infrared, visible_parts, infrared_parts, visible_ids, infrared_ids, 0.3)
    back = slow_matching(infrared, visible, infrared_parts, visible_parts, infrared_ids, visible_ids, 0.3)
    names = (
        "part_mass",
        "slot_mass",
        "effective_neighbours",
        "self_return",
        "identity_lift",
        "part_matrix",
        "slot_matrix",
    )
    for name, one, other in zip(names, forth, back, strict=True):
        np.testing.assert_allclose(getattr(result, name), (one + other) / 2.0, rtol=1e-9, err_msg=name)


def test_features_of_the_part_alone(random):
    parts = orders(random, 20, 6), orders(random, 20, 6)
    result = soft_matching(np.eye(6)[parts[0]], np.eye(6)[parts[1]], *parts, np.arange(20), np.arange(20))
    np.testing.assert_allclose(result.part_mass, 1.0, atol=1e-4)
    np.testing.assert_allclose(result.slot_mass, 1 / 6, atol=0.05)
    np.testing.assert_allclose(result.identity_lift, 1.0, atol=1e-4)
    np.testing.assert_allclose(result.effective_neighbours, 20.0, rtol=1e-3)
    np.testing.assert_allclose(result.self_return, 1.0, atol=1e-4)
    np.testing.assert_allclose(result.part_matrix, np.eye(6), atol=1e-4)
    np.testing.assert_allclose(result.slot_matrix.sum(axis=1), 1.0)


def test_features_of_the_slot_alone_are_told_from_a_match(random):
    features = np.tile(np.eye(6), (20, 1, 1))
    result = soft_matching(features, features, orders(random, 20, 6), orders(random, 20, 6))
    np.testing.assert_allclose(result.slot_mass, 1.0, atol=1e-4)
    np.testing.assert_allclose(result.slot_matrix, np.eye(6), atol=1e-4)
    assert result.part_mass < 0.3
    assert result.identity_lift is None


def test_features_of_the_person_alone(random):
    features = np.tile(np.eye(8)[:, None], (1, 6, 1))
    result = soft_matching(
        features, features, orders(random, 8, 6), orders(random, 8, 6), np.arange(8), np.arange(8)
    )
    np.testing.assert_allclose(result.identity_lift, 8.0, rtol=1e-3)
    np.testing.assert_allclose(result.part_mass, 1 / 6, atol=1e-4)
    np.testing.assert_allclose(result.self_return, 1 / 6, atol=1e-4)


def test_equal_features_are_chance(random):
    features = np.ones((10, 6, 4))
    result = soft_matching(
        features, features, orders(random, 10, 6), orders(random, 10, 6), np.arange(10), np.arange(10)
    )
    for name, chance in {
        "part_mass": 1 / 6,
        "slot_mass": 1 / 6,
        "self_return": 1 / 6,
        "identity_lift": 1.0,
    }.items():
        np.testing.assert_allclose(getattr(result, name), chance, rtol=1e-9)
    np.testing.assert_allclose(result.effective_neighbours, 60.0)
    np.testing.assert_allclose(result.part_matrix, 1 / 6)
    np.testing.assert_allclose(result.slot_matrix, 1 / 6)


def test_zero_embeddings_and_unshared_persons_are_no_accident(random):
    parts = orders(random, 3, 2)
    result = soft_matching(np.zeros((3, 2, 4)), np.zeros((3, 2, 4)), parts, parts, [1, 2, 3], [4, 5, 6])
    assert result.identity_lift is None
    np.testing.assert_allclose(result.part_mass, 0.5)


def test_matching_says_what_does_not_fit(random):
    features, parts = random.normal(size=(3, 2, 4)), orders(random, 3, 2)
    with pytest.raises(ValueError, match="one modality only"):
        soft_matching(features, features, parts, parts, visible_ids=[1, 2, 3])
    with pytest.raises(ValueError, match="infrared embeddings"):
        soft_matching(features, features, parts, parts[:2])
    with pytest.raises(ValueError, match="visible identities"):
        soft_matching(features, features, parts, parts, [1], [1, 2, 3])
