"""How long stages will take, judged by those that are finished: for the order of work and the time left."""

import math
import statistics
from collections import defaultdict

from experiments.settings import resolved
from experiments.stage_files import read_done
from mmgl_tf.flags.methods import cost

# Of the demo on one core, seconds; once something is finished only their proportions matter.
GUESSES = {"pretrain": 240.0, "finetune": 200.0, "eval": 20.0}


class Estimates:
    """Expected seconds of a stage, from the same stage with other seeds, else from its mode, else a guess.

    Args:
        stages: iterable of `experiments.cell.Stage`; those already complete are learnt from.
    """

    def __init__(self, stages=()):
        self._by_group, self._by_mode = defaultdict(list), defaultdict(list)
        for stage in stages:
            done = read_done(stage)
            if done is not None and done["status"] == 0:
                self.learn(stage, done["seconds"])

    def learn(self, stage, seconds):
        """Note how long a stage took."""
        self._by_group[stage.group].append(seconds)
        self._by_mode[stage.mode].append(seconds / relative_length(stage))

    def of(self, stage):
        """Expected seconds of a stage from its start, float."""
        if self._by_group[stage.group]:
            return statistics.fmean(self._by_group[stage.group])
        known = self._by_mode[stage.mode]
        return relative_length(stage) * (
            statistics.fmean(known) if known else self._pace() * GUESSES[stage.mode]
        )

    def _pace(self):
        """How many times as long as guessed the stages took that are finished; 1 before that."""
        known = [statistics.fmean(own) / GUESSES[mode] for mode, own in self._by_mode.items() if own]
        return statistics.fmean(known) if known else 1.0

    def knows(self, stages):
        """Whether anything is known about how long stages take: finished ones of their mode, or the demo."""
        return all(stage.preset == "demo" or self._by_mode[stage.mode] for stage in stages)

    def chains(self, stages):
        """Expected seconds from a stage's start to the end of the longest chain that waits for it.

        Args:
            stages: the stages still to be done.

        Returns:
            {stage directory: float}.
        """
        after = defaultdict(list)
        for stage in stages:
            if stage.needs is not None:
                after[stage.needs.directory].append(stage)
        lengths = {}

        def length(stage):
            if stage.directory not in lengths:
                tail = max((length(next_stage) for next_stage in after[stage.directory]), default=0.0)
                lengths[stage.directory] = self.of(stage) + tail
            return lengths[stage.directory]

        for stage in stages:
            length(stage)
        return lengths

    def left(self, waiting, running, lanes):
        """Expected seconds until everything is done, if the lanes stay busy.

        Args:
            waiting: stages that have not started.
            running: list of (stage, seconds since its start).
            lanes: how many stages run at once.

        Returns:
            float, at least the longest chain.
        """
        # What takes longer than was expected is not over at once.
        rests = [max(0.1 * seconds, self.of(stage) - seconds) for stage, seconds in running]
        total = sum(rests) + sum(self.of(stage) for stage in waiting)
        longest = max([*self.chains(waiting).values(), *rests], default=0.0)
        return max(total / lanes, longest)


def relative_length(stage):
    """How long a stage takes beside its mode's default method as its preset says, about.

    It is the method's `COST` times the pixels that pass through the network, over those of the method's
    own preset.
    """
    if stage.mode == "eval":
        return 1.0
    asked = resolved(stage.mode, stage.preset, stage.flags)
    plain = resolved(stage.mode, stage.preset, {"method": asked["method"]})
    names = ["epochs", "image_height", "image_width"]
    names += ["steps_per_epoch"] if asked["steps_per_epoch"] and plain["steps_per_epoch"] else []
    return cost(asked["method"]) * math.prod(asked[name] / plain[name] for name in names)


def clock(seconds):
    """Seconds as h:mm:ss, or m:ss below an hour."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
