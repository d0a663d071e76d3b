import numpy as np
import tensorflow as tf

from mmgl_tf.layers.grey_image import grey_image
from tests.mmgl_tf.golden_waves import waves


def test_golden_numbers_of_the_reference():
    x = waves(2, 12, 0).reshape(2, 3, 2, 2).transpose(0, 2, 3, 1)
    first = grey_image(x).numpy().transpose(0, 3, 1, 2).ravel()[:4]
    np.testing.assert_allclose(first, [0.60517, 0.651004, 0.608727, 0.484062], atol=1e-6)


def test_values_follow_the_slow_version():
    x = np.random.RandomState(0).randn(2, 3, 2, 3)
    found = grey_image(tf.constant(x)).numpy()
    for place in np.ndindex(2, 3, 2):
        r, g, b = x[place]
        np.testing.assert_allclose(found[place], [0.2989 * r + 0.587 * g + 0.114 * b] * 3, rtol=1e-12)


def test_no_gradient_flows_back_and_the_type_stays():
    x = tf.Variable(np.ones((1, 2, 2, 3), "float32"))
    with tf.GradientTape() as tape:
        grey = grey_image(tf.convert_to_tensor(x))
    assert tape.gradient(grey, x) is None
    assert grey_image(tf.ones([1, 2, 2, 3], tf.bfloat16)).dtype == tf.bfloat16
