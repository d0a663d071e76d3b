"""The state of a method that a step moves beside the trained weights: momentum copies, queues, prototypes."""

import keras
import tensorflow as tf


def move_state(moves, taken):
    """Assigns new values at the end of a step, on each replica its own copy.

    All replicas know the global batch, so each arrives at the same values; no message is sent.

    Args:
        moves: (variable, new value of the same shape) pairs.
        taken: None, or a boolean scalar: False = the step was skipped, and nothing moves.

    Raises:
        ValueError: a value has another shape than its variable.
    """
    owns = [variable.value if isinstance(variable, keras.Variable) else variable for variable, _ in moves]
    # All are read before the first is assigned: a value may be another variable.
    values = [
        tf.cast(tf.convert_to_tensor(value), own.dtype) for own, (_, value) in zip(owns, moves, strict=True)
    ]
    for own, value in zip(owns, values, strict=True):
        if not value.shape.is_compatible_with(own.shape):
            raise ValueError(
                f"after_update gives {own.name} the shape {tuple(value.shape)}; expected "
                f"{tuple(own.shape)}, the variable's"
            )
        if taken is not None:
            value = tf.where(taken, value, own)
        # Not `assign`, which is a message between replicas for an ordinary variable. In a replica the handle
        # is that of its own copy.
        tf.raw_ops.AssignVariableOp(resource=own.handle, value=value)
