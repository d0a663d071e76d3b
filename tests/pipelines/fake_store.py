"""A store of made-up images, for the tests of batches."""

import numpy as np

HEIGHT, WIDTH, STRIPES, BATCH = 48, 24, 6, 4


class FakeStore:
    """Smooth images, distinct by index; grey with one channel."""

    def __init__(self, number, channels=3, usable=None, height=HEIGHT, seed=0, width=WIDTH):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (number, height // 12, width // 12, channels), np.uint8)
        self.images = coarse.repeat(12, axis=1).repeat(12, axis=2)
        self.usable = np.arange(number) if usable is None else np.array(usable)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        assert index in self.usable
        return self.images[index]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def stores():
    return FakeStore(22), FakeStore(9, channels=1, seed=1)
