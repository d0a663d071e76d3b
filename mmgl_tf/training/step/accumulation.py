"""A batch in parts, one after the other, with the gradient of the whole batch's loss: for small GPUs.

Adding up the gradients of small batches would change the method: a contrast or a triplet between images of
two parts would never be seen. Here the loss is that of the whole batch (Gao et al. 2021, "Scaling deep
contrastive learning batch size under memory limited setup"): a first pass without gradients collects what
the heads put out, the losses give the gradient with respect to that, and a second pass takes it back through
the network, part by part. It costs a second forward pass; only one part's activations are ever held.

Batch norm sees one part at a time, as it does on a replica that is not synchronised, and its moving
statistics move once for each part, in the second pass. Layers that act on the gathered batch
(`TrainingModel.joint`) see the whole of it, once; their gradient is there with that of the outputs.
"""

import tensorflow as tf

from mmgl_tf.layers.normalization.frozen_statistics import frozen_statistics
from mmgl_tf.training.step.replicas import images_in


def accumulated_gradients(model, batch, parts, whole_loss):
    """The gradient of a batch's loss, with the memory of one part.

    Args:
        model: `TrainingModel`.
        batch: dict of tensors whose rows are images: [b, ...] of one modality, or [2b, ...] of both.
        parts: P >= 2, divides b.
        whole_loss: function {name: [2b, ...] or [b, ...]} -> (loss, anything); trained variables may act in
            it.

    Returns:
        (gradients with respect to `model.reached_variables(batch)`, None where the loss does not reach; what
        `whole_loss` returned beside the loss).

    Raises:
        ValueError: P does not divide b.
    """
    images = images_in(batch)
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
    whole = {name: _join(value, images // parts) for name, value in collected.items()}
    read = {name: value for name, value in whole.items() if value.dtype.is_floating}
    variables = model.reached_variables(batch)
    with tf.GradientTape() as tape:
        tape.watch(read)
        loss, rest = whole_loss(whole)
    upstream, direct = tape.gradient(loss, (read, variables))
    upstream = {
        name: _split(tf.zeros_like(read[name]) if value is None else value, parts, images)
        for name, value in upstream.items()
    }
    reached = {index for index, gradient in enumerate(direct) if gradient is not None}
    sums = [
        tf.zeros(variable.shape, variable.dtype) if gradient is None else gradient
        for gradient, variable in zip(direct, variables, strict=True)
    ]

    def add_part(number, *sums):
        with tf.GradientTape() as tape:
            outputs = model.outputs({name: value[number] for name, value in split.items()})
            own = [outputs[name] for name in read]
        found = tape.gradient(own, variables, [upstream[name][number] for name in read])
        reached.update(index for index, part in enumerate(found) if part is not None)
        totals = [total if part is None else total + part for total, part in zip(sums, found, strict=True)]
        return number + 1, *totals

    _, *sums = tf.while_loop(
        lambda number, *_: number < parts, add_part, (tf.constant(0), *sums), parallel_iterations=1
    )
    return [total if index in reached else None for index, total in enumerate(sums)], rest


def _shapes(model, split, each):
    """{output name: (shape [2 each, ...] or [each, ...], dtype)}, by tracing the network on a part."""
    specs = {name: tf.TensorSpec(value.shape[1:], value.dtype) for name, value in split.items()}
    with frozen_statistics():
        traced = tf.function(model.outputs, autograph=False).get_concrete_function(specs)
    return {
        name: ([value.shape[0] or 2 * each, *value.shape[1:]], value.dtype)
        for name, value in traced.structured_outputs.items()
    }


def _split(value, parts, images):
    """[b, ...] -> [P, b / P, ...]; [2b, ...] -> [P, 2b / P, ...] with visible rows first in each part."""
    shape = value.shape
    if shape[0] == images:
        return tf.reshape(value, [parts, images // parts, *shape[1:]])
    halves = tf.reshape(value, [2, parts, images // parts, *shape[1:]])
    return tf.reshape(tf.transpose(halves, [1, 0, *range(2, len(halves.shape))]), [parts, -1, *shape[1:]])


def _join(value, each):
    """[P, b / P, ...] -> [b, ...]; [P, 2b / P, ...] -> [2b, ...]; the inverse of `_split`."""
    parts, rows, *rest = value.shape
    halves = tf.reshape(value, [parts, rows // each, each, *rest])
    return tf.reshape(tf.transpose(halves, [1, 0, *range(2, len(halves.shape))]), [parts * rows, *rest])
