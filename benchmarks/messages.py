"""The messages between the replicas of a training step, counted while the step is traced."""

import contextlib
from unittest import mock

import tensorflow as tf

from mmgl_tf.training.step import model as training_model
from mmgl_tf.training.step import replicas


class Messages:
    """The all-reduces of a step, as its code asks for them while it is traced.

    Attributes:
        sent: list of (what: "gradients", "rows" or "statistics"; bytes that a replica hands over).
    """

    def __init__(self):
        self.sent = []

    def add(self, value, options=None):
        """Notes one call of `all_reduce`; gradients are packed as TensorFlow's collectives pack them."""
        sizes = [part.shape.num_elements() * part.dtype.size for part in tf.nest.flatten(value)]
        if options is None:  # Gathered rows are [replica, 1, row, figure].
            self.sent.append(("rows" if value.shape.rank == 4 else "statistics", sum(sizes)))
            return
        packs = []
        for size in sizes:
            if not packs or packs[-1] > options.bytes_per_pack:
                packs.append(0)
            packs[-1] += size
        self.sent += [("gradients", size) for size in packs]

    def summary(self, what=None):
        """(messages, bytes), of one kind or of all."""
        sizes = [size for kind, size in self.sent if what in (None, kind)]
        return len(sizes), sum(sizes)

    @contextlib.contextmanager
    def counted(self, silent=False):
        """Steps that are traced in this block are counted; `silent`: and traced without any message."""
        send = tf.distribute.ReplicaContext.all_reduce

        def all_reduce(context, reduce_op, value, options=None):
            self.add(value, options)
            if silent:
                return tf.nest.map_structure(tf.identity, value)
            return send(context, reduce_op, value, options)

        with mock.patch.object(tf.distribute.ReplicaContext, "all_reduce", all_reduce):
            yield


class ReplicaOfMany:
    """Stands for the context of the first of R replicas, whose messages go nowhere.

    Args:
        number: R.
        messages: `Messages`.
    """

    replica_id_in_sync_group = 0

    def __init__(self, number, messages):
        self.num_replicas_in_sync = number
        self.messages = messages

    def all_reduce(self, reduce_op, value, options=None):
        """The replica's own value."""
        self.messages.add(value, options)
        return tf.nest.map_structure(tf.identity, value)

    @contextlib.contextmanager
    def pretended(self):
        """What is traced in this block is a replica's part of a step."""
        if self.num_replicas_in_sync == 1:
            yield
            return
        with (
            mock.patch.object(tf.distribute, "get_replica_context", lambda: self),
            mock.patch.object(replicas, "num_replicas", lambda: self.num_replicas_in_sync),
            mock.patch.object(training_model, "num_replicas", lambda: self.num_replicas_in_sync),
        ):
            yield
