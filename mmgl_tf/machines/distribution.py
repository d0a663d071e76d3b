"""On which devices, of which machines, a run trains: none, one or many, by TensorFlow's strategies."""

import contextlib
import hashlib
import signal

import numpy as np
import tensorflow as tf

from mmgl_tf.machines.cluster import EXAMPLE, read_cluster
from mmgl_tf.machines.reasons import plain_reason

# What TensorFlow raises in a worker when another one is gone, or its connection. It raises some of these for
# failures of the worker's own, too (CUDA's, say), and does not tell them apart: the message must.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


# Facts that workers compare at once.
MOST_FACTS = 128
# Bytes of what the chief tells the others.
LONGEST_TEXT = 1024


class WorkerLost(Exception):
    """Another worker is gone, or TensorFlow failed in this one in a way that looks the same.

    The run goes on from its last checkpoint when all are started again.
    """


class Distribution:
    """The replicas of a run, and which of them this process has.

    Open it before anything else of TensorFlow is used: workers can only be connected at the start.

    Args:
        name: "auto", "none", "mirrored" or "multi_worker". `auto` takes several workers where TF_CONFIG names
            them, else all GPUs where there are several, else no strategy.

    Attributes:
        strategy: `tf.distribute.Strategy`, or None for one device.
        name: what it is, never "auto".
        workers: processes.
        worker: number of this one.
        local: replicas of this process.
        total: replicas of all processes.
        gpus: of this machine.

    Raises:
        ValueError: TF_CONFIG is missing or wrong; or it names several workers that `name` would leave out; or
            this worker cannot listen on its port.
        WorkerLost: another worker is gone.
    """

    def __init__(self, name="none"):
        addresses, self.worker = _workers(name)
        self.gpus = len(tf.config.list_physical_devices("GPU"))
        if name == "auto":
            name = "multi_worker" if len(addresses) > 1 else "mirrored" if self.gpus > 1 else "none"
        if name == "multi_worker" and not addresses:
            raise ValueError(
                f"--strategy=multi_worker: TF_CONFIG names no workers; expected such as {EXAMPLE}; on one "
                "machine mmgl_tf.machines.local_workers sets it, see deploy/cluster.md"
            )
        self.name = name
        self.workers = len(addresses) if name == "multi_worker" else 1
        if name != "multi_worker":
            self.worker = 0
        self.strategy = None
        if name == "mirrored":
            devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        elif name == "multi_worker":
            print(
                f"worker {self.worker} of {self.workers}: waiting for all of {', '.join(addresses)}",
                flush=True,
            )
            earlier = signal.getsignal(signal.SIGTERM)
            with self.reporting_lost_workers(), _listening(addresses[self.worker]):
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            # The number of steps is known and the same on all workers. Else each step would begin with a
            # message that asks whether everybody still has data.
            self.strategy.extended.experimental_enable_get_next_as_optional = False
            # TensorFlow now swallows SIGTERM; until training obeys it, it should end the process as before.
            signal.signal(signal.SIGTERM, earlier)
        self.total = self.strategy.num_replicas_in_sync if self.strategy else 1
        self.local = self.total // self.workers

    @property
    def chief(self):
        """Whether this process writes the run; every other one only computes."""
        return self.worker == 0

    @property
    def first(self):
        """Number of this process's first replica among all."""
        return self.worker * self.local

    def scope(self):
        """Context in which a model and its optimiser are made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def dataset(self, make):
        """What `fit` takes.

        Args:
            make: function () -> tf.data.Dataset of this process's batches: one for each of its replicas in
                turn, step by step.
        """
        if self.total == 1:
            return make()
        # Without GPUs there is no other memory to fetch to.
        options = tf.distribute.InputOptions(experimental_fetch_to_device=bool(self.gpus))
        return self.strategy.distribute_datasets_from_function(lambda context: make(), options)

    def agree(self, **facts):
        """Waits for all workers, and finds out whether they are about to do the same.

        Args:
            **facts: {what it is, in a user's words: anything with a text}, at most `MOST_FACTS`.

        Raises:
            ValueError: a fact differs between workers.
            WorkerLost: a worker is gone.
        """
        if self.workers == 1:
            return
        digests = [hashlib.sha256(str(fact).encode()).digest()[:8] for fact in facts.values()]
        own = np.frombuffer(b"".join(digests).ljust(8 * MOST_FACTS, b"\0"), np.uint8)
        with self.reporting_lost_workers():
            facts_of_all = self._gather(tf.constant(own, tf.float32)).numpy().reshape(self.total, -1, 8)
        for number, (fact, value) in enumerate(facts.items()):
            differs = (facts_of_all[:, number] != facts_of_all[0, number]).any(axis=1)
            others = sorted({row // self.local for row in np.flatnonzero(differs).tolist()})
            if others:
                raise ValueError(
                    f"worker {', '.join(map(str, others))} and worker 0 differ in {fact.replace('_', ' ')} "
                    f"(here: {value}); expected the same command, the same files and one --workdir that "
                    "all machines share"
                )

    def from_chief(self, text):
        """What the chief has to say; all workers wait for it.

        Args:
            text: str, cut beyond `LONGEST_TEXT` bytes; ignored on other workers than the chief.

        Returns:
            str.

        Raises:
            WorkerLost: a worker is gone.
        """
        if self.workers == 1:
            return text
        own = (text if self.chief else "").encode()[:LONGEST_TEXT].ljust(LONGEST_TEXT, b"\0")
        with self.reporting_lost_workers():
            texts = self._gather(tf.constant(np.frombuffer(own, np.uint8), tf.float32)).numpy()
        return texts[0].astype(np.uint8).tobytes().rstrip(b"\0").decode(errors="replace")

    @tf.function(autograph=False)
    def _gather(self, own):
        """float32 [n] of each worker -> [replicas, n] of all."""

        def on_replica():
            context = tf.distribute.get_replica_context()
            place = tf.one_hot(context.replica_id_in_sync_group, self.total)[:, None]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, place * own)

        return self.strategy.experimental_local_results(self.strategy.run(on_replica))[0]

    def chief_first(self, make):
        """What a function returns; the chief's call is over before the others', which find its caches.

        Args:
            make: function () -> anything.
        """
        made = make() if self.chief else None
        self.agree()
        return made if self.chief else make()

    @contextlib.contextmanager
    def reporting_lost_workers(self):
        """Turns what TensorFlow raises on the loss of a worker into `WorkerLost`."""
        try:
            yield
        except LOST as error:
            if self.workers == 1:
                raise
            reason = f"{type(error).__name__}: {plain_reason(error.message)}"
            raise WorkerLost(
                f"worker {self.worker} lost another one, or failed by itself ({reason})"
            ) from error


def _workers(name):
    """(addresses, index) for a strategy; see `read_cluster`."""
    if name in ("auto", "multi_worker"):
        return read_cluster()
    try:
        others = len(read_cluster()[0]) > 1
    except ValueError:  # Nothing will read it.
        others = False
    if others:
        # It would train beside the chief in the same directory, and the other workers would wait for ever.
        raise ValueError(
            f"--strategy={name}, but TF_CONFIG names several workers; expected --strategy=multi_worker (or "
            "auto) to train with them, or no TF_CONFIG in the environment to train alone"
        )
    return [], 0


@contextlib.contextmanager
def _listening(address):
    """Says so where TensorFlow cannot listen on the address."""
    try:
        yield
    except tf.errors.UnknownError as error:
        if "Could not start gRPC server" not in error.message:
            raise
        raise ValueError(
            f"this worker cannot listen on the port of {address}, its address in TF_CONFIG: another program "
            "(an earlier worker that hangs?) holds it; stop that one, or name another port in every "
            "machine's TF_CONFIG"
        ) from error
