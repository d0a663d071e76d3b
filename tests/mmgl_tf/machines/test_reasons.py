"""What is kept of TensorFlow's messages."""

import pytest
import tensorflow as tf

from mmgl_tf.machines.reasons import plain_reason


def broken(value):
    raise ValueError(f"a broken image: {value}")


def refused(value):
    tf.debugging.Assert(value > 5, ["not over 5:", value])
    return value


@pytest.mark.parametrize(
    ("function", "argument", "reason"),
    [
        (lambda x: tf.numpy_function(broken, [x], tf.float32), 1.0, "ValueError: a broken image: 1.0"),
        (refused, 3, "assertion failed: [not over 5:] [3]"),
        (tf.io.decode_jpeg, b"junk", "Unknown image file format. One of JPEG, PNG, GIF, BMP, WebP required."),
    ],
)
def test_of_a_real_message_from_inside_a_graph(function, argument, reason):
    with pytest.raises(tf.errors.OpError) as error:
        tf.function(function, autograph=False)(tf.constant(argument))
    assert len(error.value.message.splitlines()) > 1
    assert plain_reason(error.value.message) == reason


LOSS = """Graph execution error:

Detected at node CollectiveReduceV2 defined at (most recent call last):
  File "main.py", line 41, in <module>

  File "model.py", line 120, in train_step

Collective ops is aborted by: Socket closed
The error could be from a previous operation. Restart your program to reset.
\t [[{{node CollectiveReduceV2}}]] [Op:__inference_run_9]"""
SEVERAL = """2 root error(s) found.
  (0) UNAVAILABLE:  failed to connect to all addresses
\t [[{{node CollectiveReduceV2}}]]
  (1) CANCELLED:  Function was cancelled before it was started"""


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (LOSS, "Collective ops is aborted by: Socket closed"),
        (SEVERAL, "UNAVAILABLE:  failed to connect to all addresses"),
        ("{{function_node __wrapped__Reshape_x}} no such shape [Op:Reshape]", "no such shape [Op:Reshape]"),
        ("cuDNN launch failure : input shape [8]", "cuDNN launch failure : input shape [8]"),
        ("  indented alone", "indented alone"),
        ("", "no message"),
        ("\n\n", "no message"),
    ],
)
def test_of_messages_as_they_come(message, reason):
    assert plain_reason(message) == reason
