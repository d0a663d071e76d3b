"""Several workers on this machine, started together and, when one is lost, all together again.

    python -m mmgl_tf.machines.local_workers --workers=2 -- --mode=pretrain --strategy=multi_worker ...

Each gets the same command and a TF_CONFIG of its own, with ports of 127.0.0.1, and an equal share of the
GPUs (of those in CUDA_VISIBLE_DEVICES, where it is set); with fewer GPUs than workers none gets any. Worker 0
is the chief: its output goes where this program's does, as it is; lines of the others begin with
"[worker 1] ".

What ends first decides. A worker that a signal ended, or that ended with 75 (another was lost), has all of
them start again on fresh ports, from the last checkpoint; before that, the others get the grace period to end
by themselves. Any other status is returned, and the others are stopped: they get a quarter of the grace
period to end in the same way (each meets the same mistake), then SIGTERM and the grace period. What is left
is killed. After a loss, 1 is a consequence; 2, 3 and the like still count.

Nobody can hold a port for a program that has yet to bind it. Those chosen here are outside the range of
outgoing connections, and a worker that ends with 1 while another program holds its port counts as lost.

SIGINT and SIGTERM are passed on to all workers, once; a second one kills them. Should this program be killed,
the kernel kills the workers (Linux only), though not what they started. A training that hangs without any
worker ending is not noticed. POSIX; standard library only, so that nothing here can hang with TensorFlow.
"""

import argparse
import contextlib
import ctypes
import functools
import itertools
import math
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from mmgl_tf.machines.local_environment import gpu_shares, local_environment

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOST = 75  # EX_TEMPFAIL: start all workers again and the run goes on
PORTS = range(10_000, 30_000)
POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_ports(count):
    """Different ports on which nobody listens at this moment.

    Args:
        count: how many.

    Returns:
        list of integers from `PORTS`, in random order: two launchers at once rarely meet.

    Raises:
        OSError: there are not so many.
    """
    ports = list(itertools.islice(filter(_free, random.sample(PORTS, len(PORTS))), count))
    if len(ports) < count:
        raise OSError(f"{count} free ports were wanted, {len(ports)} found in {PORTS}; stop other programs")
    return ports


def _free(port):
    """Whether a worker could listen on a port; old connections that wait for their end do not hinder it."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", port))  # on all addresses, as TensorFlow does whatever TF_CONFIG says
        return True
    return False


def _die_with(launcher):
    """In the child, before it becomes the worker: have the kernel kill it when its parent dies."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:  # it died before the call above
            os._exit(LOST)


def _say(text):
    print(f"local_workers: {text}", file=sys.stderr, flush=True)


class Worker:
    """One process of the cluster, in a session and process group of its own.

    Args:
        index: its place in the cluster; 0 is the chief.
        ports: those of all workers.
        command: list of words; no shell reads them.
    """

    def __init__(self, index, ports, command):
        self.index = index
        self.port = ports[index]
        self.out_of_patience = False
        self.line = b""
        self.process = subprocess.Popen(
            command,
            env=local_environment(index, ports),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if index > 0 else None,
            stderr=subprocess.STDOUT if index > 0 else None,
            start_new_session=True,  # Ctrl-C reaches the launcher alone, which passes it on once
            # Safe, as the launcher has no threads: that is why it polls.
            preexec_fn=functools.partial(_die_with, os.getpid()),
        )
        self.pipe = self.process.stdout
        if self.pipe:
            os.set_blocking(self.pipe.fileno(), False)

    def show(self, last=False):
        """Show the whole lines that have arrived, behind its name; `last`: the rest, too."""
        try:
            chunk = os.read(self.pipe.fileno(), 1 << 20)  # more than a pipe holds
            last = last or not chunk
        except BlockingIOError:
            chunk = b""
        *lines, self.line = (self.line + chunk).split(b"\n")
        if self.line and (last or len(self.line) > 1 << 16):  # no memory without end for a line without end
            lines.append(self.line)
            self.line = b""
        sys.stdout.buffer.write(b"".join(b"[worker %d] %b\n" % (self.index, line) for line in lines))
        sys.stdout.buffer.flush()
        if last:
            self.pipe.close()
            self.pipe = None

    @property
    def status(self):
        """Exit status, minus the signal that ended it, or None while it runs."""
        return self.process.returncode

    def ended(self):
        """Look whether it has ended; if so, end what it left behind, and show its last lines."""
        if self.process.poll() is None:
            return False
        self.kill()
        if self.pipe:
            self.show(last=True)
        return True

    def kill(self):
        """SIGKILL to its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(self.process.pid, signal.SIGKILL)

    @functools.cached_property
    def kind(self):
        """What its end means: complete, lost, stopped or failed."""
        if self.status == 0:
            return "complete"
        if self.status < 0 or self.status == LOST or (self.status == 1 and not _free(self.port)):
            return "lost"
        return "stopped" if self.status - 128 in STOP_SIGNALS else "failed"

    def __str__(self):
        if self.out_of_patience:
            return f"worker {self.index} did not end and was killed"
        if self.status < 0:
            name = signal.strsignal(-self.status)
            return f"worker {self.index} was ended by signal {-self.status} ({name})"
        why = f"; another program holds its port {self.port}" * (self.status == 1 and self.kind == "lost")
        return f"worker {self.index} ended with status {self.status}{why}"


def follow(workers, signals, grace_seconds):
    """Wait until all workers have ended, and see to it that they do once one has ended early.

    Args:
        workers: list of `Worker`.
        signals: list to which a signal handler appends the numbers of SIGINT and SIGTERM.
        grace_seconds: see the head of this file.

    Returns:
        The `Worker` whose end decided, or None where all were complete or stopped when asked to.
    """
    cause, terminate_at, kill_at = None, math.inf, math.inf
    passed_on = False
    while workers:
        talking = {worker.pipe: worker for worker in workers if worker.pipe}
        for pipe in select.select(talking, [], [], POLL_SECONDS)[0]:
            talking[pipe].show()
        ended = [worker for worker in workers if worker.ended()]
        workers = [worker for worker in workers if worker not in ended]
        now = time.monotonic()
        # Of those found together, one that a signal ended is the cause of what the others did; 75 is none.
        for worker in sorted(ended, key=lambda worker: (worker.status >= 0, worker.status == LOST)):
            if worker.kind == "complete" or (worker.kind == "stopped" and signals):
                continue
            failed = worker.kind == "failed"
            if cause is None or (cause.kind == "lost" and failed and worker.status != 1):
                cause = worker
                terminate_at = now + grace_seconds / 4 if failed else math.inf
                kill_at = (terminate_at if failed else now) + grace_seconds
        if signals and not passed_on:
            passed_on = True
            _say(f"{signal.Signals(signals[0]).name} passed on; waiting for the workers (again: kills them)")
            for worker in workers:
                worker.process.send_signal(signals[0])
        if now >= terminate_at:
            terminate_at = math.inf
            for worker in workers:
                worker.process.terminate()
        if now >= kill_at or len(signals) > 1:
            for worker in workers:
                worker.out_of_patience = True
                worker.kill()
    return cause


def launch(command, count, restarts=3, grace_seconds=20.0):
    """Run workers until they are complete, fail, are asked to stop, or are lost once too often.

    Args:
        command: list of words, the same for every worker.
        count: workers, at least 1.
        restarts: how often all are started again, over the life of this call.
        grace_seconds: see the head of this file.

    Returns:
        Exit status: 0 complete; 128 + signal asked to stop; 75 lost, and no restart left; else the status of
        the worker that failed.

    Raises:
        OSError: the command cannot be started, or no port is free.
    """
    signals, workers = [], []
    earlier = {
        signum: signal.signal(signum, lambda signum, _: signals.append(signum)) for signum in STOP_SIGNALS
    }
    go_on = "the same command goes on from the last checkpoint"
    if "" in (gpu_shares(count) or ()):
        _say(f"there are fewer GPUs than {count} workers; they train on the processor")
    try:
        for restart in range(1, restarts + 2):
            ports, workers = free_ports(count), []
            for index in range(count):
                workers.append(Worker(index, ports, command))
            cause = follow(workers, signals, grace_seconds)
            if all(worker.status == 0 for worker in workers):
                return 0
            happened = "; ".join(str(w) for w in workers if w is cause or w.out_of_patience)
            if cause and cause.kind == "failed":
                _say(f"{happened}; all are stopped")
                return cause.status
            if signals or cause.kind == "stopped":
                _say(f"{happened or 'stopped'}; {go_on}")
                return 128 + signals[0] if signals else cause.status
            if restart <= restarts:
                _say(f"{happened}; starting all {count} again (restart {restart} of {restarts})")
        _say(f"{happened}; not started again, as --restarts={restarts} is used up; {go_on}")
        return LOST
    finally:
        for worker in workers:
            if worker.status is None:
                worker.kill()
                worker.process.wait()
        for signum, handler in earlier.items():
            signal.signal(signum, handler)


def main(argv=None):
    """The command line; see the head of this file."""
    argv = sys.argv[1:] if argv is None else list(argv)
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(
        prog="python -m mmgl_tf.machines.local_workers",
        usage="%(prog)s --workers=2 [options] -- [python main.py] --mode=... --strategy=multi_worker ...",
    )
    parser.add_argument("--workers", type=int, required=True, help="processes, at least 1")
    parser.add_argument("--restarts", type=int, default=3, help="how often all may be started again (3)")
    parser.add_argument("--grace_seconds", type=float, default=20.0, help="for the rest to end (20)")
    options, command = parser.parse_args(argv[:cut]), argv[cut + 1 :]
    if not command:
        parser.error("after -- the workers' flags (of main.py) or their whole command are expected")
    if options.workers < 1 or options.restarts < 0 or not 0 <= options.grace_seconds < math.inf:
        parser.error("expected --workers of at least 1, and --restarts and --grace_seconds of at least 0")
    if command[0].startswith("-"):
        command.insert(0, str(Path(__file__).resolve().parents[2] / "main.py"))
    if command[0].endswith(".py"):
        command.insert(0, sys.executable)
    try:
        return launch(command, options.workers, options.restarts, options.grace_seconds)
    except OSError as error:
        _say(f"error: {error}; nothing is running")
        return 1


if __name__ == "__main__":
    sys.exit(main())
