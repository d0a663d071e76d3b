"""A batch in parts, one after the other, with the gradient of the whole batch's loss: for small GPUs.

Adding up the gradients of small batches would change the method: a contrast or a triplet between images of
two parts would never be seen. Here the loss is that of the whole batch (Gao et al. 2021, "Scaling deep
contrastive learning batch size under memory limited setup"): a first pass without gradients collects what
the heads put out, the losses give the gradient with respect to that, and a second pass takes it back through
the network, part by part. It costs a second forward pass; only one part's activations are ever held.

Batch norm sees one part at a time, as it does on a replica that is not synchronised, and its moving
statistics move once for each part, in the second pass.
"""

import tensorflow as tf

from mmgl_tf.layers.frozen_statistics import frozen_statistics


def accumulated_gradients(model, batch, parts, weighted_losses):
    """The gradient of a batch's loss, with the memory of one part.

    Args:
        model: `TrainingModel`.
        batch: dict of tensors whose rows are images: [b, ...] of one modality, or [2b, ...] of both.
        parts: P >= 2, divides b.
        weighted_losses: function {name: [2b, ...]} -> (loss, figures).

    Returns:
        (gradients with respect to `model.trainable_variables`, figures).
    """
    images = batch["visible"].shape[0]
    if images is None or images % parts:
        raise ValueError(
            f"--accumulate={parts} does not divide the {images} images per modality that a replica has in a "
            "step; choose a divisor of it"
        )
    split = {name: _split(value, parts, images) for name, value in batch.items()}
    signature = {
        name: tf.TensorSpec(shape, dtype)
        for name, (shape, dtype) in _shapes(model, split, images // parts).items()
    }

    with frozen_statistics():
        collected = tf.map_fn(model.outputs, split, fn_output_signature=signature, parallel_iterations=1)
    whole = {name: _join(value) for name, value in collected.items()}
    read = {name: value for name, value in whole.items() if value.dtype.is_floating}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(read)
        loss, figures = weighted_losses(model.gather(whole))
    upstream = tape.gradient(loss, read, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    upstream = {name: _split(value, parts, images) for name, value in upstream.items()}

    variables = model.trainable_variables
    sums = [tf.zeros(variable.shape, variable.dtype) for variable in variables]

    def add_part(number, *sums):
        with tf.GradientTape() as tape:
            outputs = model.outputs({name: value[number] for name, value in split.items()})
            own = [outputs[name] for name in read]
        found = tape.gradient(own, variables, [upstream[name][number] for name in read])
        return number + 1, *(total + part for total, part in zip(sums, found, strict=True))

    _, *sums = tf.while_loop(
        lambda number, *_: number < parts, add_part, (tf.constant(0), *sums), parallel_iterations=1
    )
    return sums, figures


def _shapes(model, split, each):
    """{output name: (shape [2 each, ...], dtype)}, by tracing the network on a part without running it."""
    specs = {name: tf.TensorSpec(value.shape[1:], value.dtype) for name, value in split.items()}
    with frozen_statistics():
        traced = tf.function(model.outputs).get_concrete_function(specs)
    return {
        name: ([2 * each, *value.shape[1:]], value.dtype) for name, value in traced.structured_outputs.items()
    }


def _split(value, parts, images):
    """[b, ...] -> [P, b / P, ...]; [2b, ...] -> [P, 2b / P, ...] with visible rows first in each part."""
    shape = value.shape
    if shape[0] == images:
        return tf.reshape(value, [parts, images // parts, *shape[1:]])
    halves = tf.reshape(value, [2, parts, images // parts, *shape[1:]])
    return tf.reshape(tf.transpose(halves, [1, 0, *range(2, len(halves.shape))]), [parts, -1, *shape[1:]])


def _join(value):
    """[P, 2b / P, ...] -> [2b, ...]; the inverse of `_split`."""
    parts, rows, *rest = value.shape
    halves = tf.reshape(value, [parts, 2, rows // 2, *rest])
    return tf.reshape(tf.transpose(halves, [1, 0, *range(2, len(halves.shape))]), [parts * rows, *rest])
