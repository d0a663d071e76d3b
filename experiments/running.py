"""Runs stages as processes of main.py, several at once, and can be stopped and started again at any time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from experiments import stage_files
from experiments.cell import Stage
from experiments.estimates import Estimates, clock

MAIN = (sys.executable, str(Path(__file__).resolve().parents[1] / "main.py"))
# One core a lane: two single-threaded runs on two cores do about twice the work of one run on both.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
NOTE_EVERY_SECONDS = 10.0  # how much of the time of a killed engine may go uncounted
SAY_EVERY_SECONDS = 60.0  # how long the engine may be silent while something runs


@dataclass
class Running:
    """A stage at work: its process, lock, log and clock, and whether it has been asked to stop."""

    stage: Stage
    process: subprocess.Popen
    lock: int
    log: object
    command: list
    earlier_seconds: float
    started: float
    noted: float
    told: bool = False

    def seconds(self):
        """Seconds of all attempts."""
        return self.earlier_seconds + time.monotonic() - self.started


class Engine:
    """Works through stages: dependencies first, longest chain first, complete stages not at all.

    It is one thread that looks at its children a few times a second. A stage is complete when its process
    ended with 0, or with 3, the paper's "fail"; nothing that needs a failed run is started. Any other exit
    status leaves the stage open: everything else goes on, and the next call tries again.

    Args:
        stages: iterable of `experiments.cell.Stage`, doubles allowed; what they need must be among them.
        lanes: processes at once, each kept on a core of its own where the system can.
        main: the words that start main.py.
        say: function that shows a line.
        poll_seconds: how often to look.
    """

    def __init__(self, stages, lanes=2, main=MAIN, say=print, poll_seconds=0.2):
        self.stages = list({stage.directory: stage for stage in stages}.values())
        self.lanes = [None] * lanes
        self.main = list(main)
        self.say = say
        self.poll_seconds = poll_seconds
        self.estimates = Estimates(self.stages)
        self.done = {}  # directory -> status
        self.broken = {}  # directory -> exit status of this call
        self._signum = None
        self._said = time.monotonic()

    def run(self):
        """Do what is left to do.

        Returns:
            Exit status: 0 when every stage is complete or cannot be because of a "fail" before it, 1 when
            one broke, 128 + signal where the engine was asked to stop.
        """
        self._look()
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        with self._signals():
            while True:
                self._reap()
                if self._signum is not None:
                    return self._stop()
                for lane, running in enumerate(self.lanes):
                    if running is None:
                        self._start_next(lane, cores)
                if not any(self.lanes) and not self._open():
                    break
                if time.monotonic() - self._said > SAY_EVERY_SECONDS:
                    self._tell_of_the_runs()
                time.sleep(self.poll_seconds)
                self._look()
        for directory, status in self.broken.items():
            self.say(f"broken (exit status {status}): {directory}; give the same command again to retry")
        return 1 if self.broken else 0

    def waiting(self):
        """Stages that are not complete, not running and that nothing forbids."""
        at_work = {running.stage.directory for running in self.lanes if running}
        return [stage for stage in self._open() if stage.directory not in at_work]

    def _open(self):
        """Stages that are not complete and that nothing forbids."""
        return [s for s in self.stages if s.directory not in self.done and not self._hopeless(s)]

    def _hopeless(self, stage):
        """Whether a stage, or one that it needs, broke in this call, or its start ended as a "fail"."""
        while stage is not None:
            if stage.directory in self.broken:
                return True
            stage = stage.needs
            if stage is not None and self.done.get(stage.directory) == stage_files.FAIL:
                return True
        return False

    def _look(self):
        """Learn what is complete on disk; another engine may be at work on the same stages."""
        for stage in self.stages:
            if stage.directory not in self.done:
                mark = stage_files.read_done(stage)
                if mark is not None:
                    self.done[stage.directory] = mark["status"]

    def _start_next(self, lane, cores):
        """Start the ready stage with the longest chain behind it that nobody else is at work on."""
        waiting = self.waiting()
        chains = self.estimates.chains(waiting)
        ready = [
            s for s in waiting if s.needs is None or self.done.get(s.needs.directory) == stage_files.COMPLETE
        ]
        for stage in sorted(ready, key=lambda stage: -chains[stage.directory]):
            lock = stage_files.lock(stage)
            if lock is None:
                continue
            mark = stage_files.read_done(stage)
            if mark is not None:  # somebody finished it between our look and our lock
                os.close(lock)
                self.done[stage.directory] = mark["status"]
                continue
            self.lanes[lane] = self._start(stage, lock, {cores[lane % len(cores)]} if cores else None)
            self._progress(f"start {_name(stage)}")
            return

    def _start(self, stage, lock, cores):
        command = [*self.main, *stage.words]
        log = stage_files.open_log(stage)
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | ONE_THREAD,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C reaches the engine alone, which passes it on once
        )
        if cores is not None:
            with contextlib.suppress(ProcessLookupError):
                # Long before the child starts a thread: what it starts later inherits the core.
                os.sched_setaffinity(process.pid, cores)
        now = time.monotonic()
        return Running(stage, process, lock, log, command, stage_files.read_spent(stage), now, now)

    def _reap(self):
        """Deal with the processes that ended; note the time of the others."""
        for lane, running in enumerate(self.lanes):
            if running is None:
                continue
            status = running.process.poll()
            seconds = running.seconds()
            if status is None:
                if time.monotonic() - running.noted > NOTE_EVERY_SECONDS:
                    running.noted = time.monotonic()
                    stage_files.write_spent(running.stage, seconds)
                continue
            self.lanes[lane] = None
            self._ended(running, status, seconds)
            running.log.close()
            os.close(running.lock)

    def _ended(self, running, status, seconds):
        stage = running.stage
        fail = status == stage_files.FAIL and stage.mode != "eval"
        if status == stage_files.COMPLETE or fail:
            stage_files.write_done(stage, status, seconds, running.command)
            self.done[stage.directory] = status
            if not fail:
                self.estimates.learn(stage, seconds)
            self._progress(f"{'fail ' if fail else 'end  '} {stage.directory} ({clock(seconds)})")
            return
        stage_files.write_spent(stage, seconds)
        if self._signum is None:
            self.broken[stage.directory] = status
            self.say(f"{stage.directory} ended with exit status {status}; its log ends:")
            self.say(stage_files.last_lines(stage))

    def _progress(self, what):
        """One line: what happened, how much is done, what runs, how long it will take."""
        self._said = time.monotonic()
        running = [(running.stage, running.seconds()) for running in self.lanes if running]
        waiting = self.waiting()
        total = len(self.done) + len(running) + len(waiting)
        left = "time left not known yet"
        if self.estimates.knows([*waiting, *(stage for stage, _ in running)]):
            left = f"about {clock(self.estimates.left(waiting, running, len(self.lanes)))} left"
        self.say(f"{len(self.done)}/{total} done, {len(running)} running, {left}: {what}")

    def _tell_of_the_runs(self):
        """Where each run is, in the last words of its log: several minutes may pass without an event."""
        self._progress("at work")
        for running in filter(None, self.lanes):
            said = stage_files.last_lines(running.stage, 1).strip() or "starting"
            self.say(f"  {_name(running.stage)}: {said}")

    @contextlib.contextmanager
    def _signals(self):
        """Remember the first SIGINT or SIGTERM; pass every one on to the children."""

        def remember(signum, frame):
            self._signum = self._signum or signum
            self._pass_on(signum, again=True)

        earlier = {signum: signal.signal(signum, remember) for signum in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signum, handler in earlier.items():
                signal.signal(signum, handler)

    def _pass_on(self, signum, again=False):
        """Send a signal to the children that have not had one, or to all of them."""
        for running in self.lanes:
            if running is not None and (again or not running.told):
                running.told = True
                running.process.send_signal(signum)

    def _stop(self):
        """Wait for the children, which save and end."""
        self.say(
            f"{signal.Signals(self._signum).name}: waiting for {sum(map(bool, self.lanes))} runs to save"
        )
        while any(self.lanes):
            self._pass_on(self._signum)  # to one that was being started when the signal came
            self._reap()
            time.sleep(self.poll_seconds)
        self.say("stopped; give the same command again to go on")
        return 128 + self._signum


def _name(stage):
    """What a stage is called in a line: its directory's last part says nothing of an evaluation."""
    return stage.directory if stage.mode == "eval" else stage.directory.name
