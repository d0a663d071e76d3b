"""What an experiment is made of: arms, and the invocations of main.py that one arm needs for one seed."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.equal_compute import with_pretraining_time
from experiments.settings import (
    as_words,
    check,
    deciding,
    own_flags,
    require_known,
    resolved,
    settings_digest,
    slug,
)
from experiments.short_schedules import with_lengths
from experiments.starts import start_digest


@dataclass(frozen=True)
class Arm:
    """One row of a table: how the encoder starts and how it is fine-tuned.

    Args:
        name: as in the table.
        pretrain: {setting: value} of the pre-training over the preset; None = random initialisation.
        finetune: {setting: value} of the fine-tuning over the preset.
        partner: name of the arm that the paired difference is taken to; "" = the experiment's reference.
        spends: {setting: value} of a pre-training whose images this arm gets as more epochs of fine-tuning
            (`experiments.equal_compute`); None = it gets none.
        paper: {setting of the evaluation, see `experiments.results.Selection.setting`: {metric: per cent}} of
            the paper's table.
        note: one remark for the table.
        untrained: what is evaluated instead of a network, a name that `--mode=eval --init=` takes without a
            run ("chance", "hog"); the other settings are then without meaning.
        init: a run or a weights file that is there already, which the encoder starts from; "" = none. In the
            catalogue it may be the name of an option of the command line that says which.
        pretraining_times: factor on the epochs of the pre-training.
    """

    name: str
    pretrain: Mapping | None = None
    finetune: Mapping = field(default_factory=dict)
    partner: str = ""
    spends: Mapping | None = None
    paper: Mapping = field(default_factory=dict)
    note: str = ""
    untrained: str = ""
    init: str = ""
    pretraining_times: float = 1.0


@dataclass(frozen=True)
class Experiment:
    """A named set of arms.

    Args:
        about: one or two sentences for the list and above the table.
        arms: tuple of `Arm`.
        reference: name of the arm that the others are compared with; "" = none.
        paper: what the paper's column is, e.g. "Table VI, AGW on SYSU-MM01"; "" = the paper has none.
        max_seeds: at most so many seeds; 0 = as many as asked for.
        weights: which weights of a run the table shows, "last" or "best" (by validation identities).
        evaluations: what of an evaluation is shown, a table each: {name of a field of
            `experiments.results.Selection`: value} over what was asked for.
        by_trial: a seed's number is that of a split of RegDB less 1, and every run has seed 0; all
            fine-tunings of an arm start from one pre-training.
        shortened: whether the demo's trainings are cut, see `experiments.short_schedules`.
        endings: names of figures that fine-tunings are compared by at their end (`experiments.endings`).
    """

    about: str
    arms: tuple
    reference: str = ""
    paper: str = ""
    max_seeds: int = 0
    weights: str = "last"
    evaluations: tuple = ({},)
    by_trial: bool = False
    shortened: bool = False
    endings: tuple = ()

    def partner_of(self, arm):
        """Name of the arm that `arm` is compared with, or ""."""
        name = arm.partner or self.reference
        return "" if name == arm.name else name

    def with_starts(self, starts):
        """The experiment with its starts that are not made here, where they are known; the other arms go.

        Args:
            starts: {what an arm's `init` says: path, "" where it is not given}.
        """
        arms = [replace(arm, init=starts.get(arm.init, arm.init)) for arm in self.arms]
        here = [new.init or not old.init for old, new in zip(self.arms, arms, strict=True)]
        return replace(self, arms=tuple(itertools.compress(arms, here)))


@dataclass(frozen=True)
class Stage:
    """One invocation of main.py.

    Args:
        mode: "pretrain", "finetune" or "eval".
        directory: the run directory, for eval the run's eval/; the engine's files about the stage lie there
            (`experiments.stage_files`).
        words: command line after `main.py`.
        group: directory name without seed: stages that take about as long.
        needs: the stage that must be complete before, or None.
        seed: the run's seed.
        flags: {setting: value} that were asked for, to be compared with the run's config.json.
        preset: name of the preset.
    """

    mode: str
    directory: Path
    words: tuple
    group: str
    needs: "Stage | None" = None
    seed: int = 0
    flags: Mapping = field(default_factory=dict, compare=False)
    preset: str = "demo"


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: its stages in order, pre-training (if any), fine-tuning, evaluation."""

    arm: Arm
    seed: int
    stages: tuple

    @property
    def run(self):
        """Directory of the fine-tuning run, or of what is evaluated untrained."""
        return self.stages[-1].directory.parent


def cells_of(experiment, seeds, preset, extra, root, finetune_extra=None):
    """All cells of an experiment.

    Args:
        experiment: `Experiment`.
        seeds: iterable of int.
        preset: name of the preset, for pre-training and fine-tuning.
        extra: {setting: value} for every stage; an arm's own flags win.
        root: directory that holds all runs.
        finetune_extra: {setting: value} over `extra` for fine-tunings and evaluations.

    Returns:
        list of `Cell`, seed by seed. Equal stages of different cells are equal objects.
    """
    cells = []
    lengths = [
        (arm, with_lengths(arm, preset, extra, experiment.shortened, finetune_extra))
        for arm in experiment.arms
    ]
    for number in list(seeds)[: experiment.max_seeds or None]:
        for arm, whole in lengths:
            seed, own = number, whole
            if experiment.by_trial:
                seed, own = 0, replace(whole, finetune={**whole.finetune, "trial": number + 1})
            stages = stages_of(own, seed, preset, extra, root, finetune_extra)
            cells.append(Cell(arm, number, stages))
    return cells


def stages_of(arm, seed, preset, extra, root, finetune_extra=None):
    """The stages of one arm with one seed, in order.

    The directory of a run is named after its decisions alone (mode, preset, flags, seed, for a fine-tuning
    the pre-training it starts from), so that whoever needs the same run finds it.

    Args:
        arm: `Arm`.
        seed, preset, extra, root, finetune_extra: as in `cells_of`.

    Returns:
        tuple of `Stage`.

    Raises:
        ValueError: flags that cannot work, or a start that is not there.
    """
    afterwards = {**extra, **(finetune_extra or {})}
    if arm.untrained:
        return (_untrained(arm, preset, afterwards, root),)
    stages, start, origin = [], "random", "random"
    if arm.init:
        start, origin = arm.init, f"given_{start_digest(arm.init)}"
    if arm.pretrain is not None:
        flags = own_flags("pretrain", preset, extra, arm.pretrain)
        check("pretrain", preset, flags)
        chosen = deciding("pretrain", preset, flags)
        mark = settings_digest("pretrain", preset, chosen)
        stages.append(
            _run("pretrain", ["pretrain", preset, slug(chosen), mark], flags, preset, seed, root, None)
        )
        method = resolved("pretrain", preset, flags)["method"]
        start, origin = stages[-1].directory.as_posix(), f"{method}_{mark}"

    flags = own_flags("finetune", preset, afterwards, arm.finetune)
    require_known(flags)
    if arm.spends is not None:
        flags |= with_pretraining_time(preset, own_flags("pretrain", preset, extra, arm.spends), flags)
    check("finetune", preset, flags)
    chosen = deciding("finetune", preset, flags)
    mark = settings_digest("finetune", preset, chosen, origin)
    parts = ["finetune", preset, origin, slug(chosen), mark]
    flags |= {"init": start}
    stages.append(_run("finetune", parts, flags, preset, seed, root, stages[-1] if stages else None))
    run = stages[-1]
    words = (
        "--mode=eval",
        f"--init={run.directory.as_posix()}",
        "--nopictures",
        *as_words(own_flags("eval", preset, afterwards, {})),
    )
    stages.append(Stage("eval", run.directory / "eval", words, f"eval-{preset}", run, seed, {}, preset))
    return tuple(stages)


def _untrained(arm, preset, extra, root):
    """The one stage of an arm without training; it is the same for every seed."""
    flags = own_flags("eval", preset, extra, {})
    chosen = deciding("finetune", preset, flags)
    parts = [
        "eval",
        preset,
        arm.untrained,
        slug(chosen),
        settings_digest("eval", preset, chosen, arm.untrained),
    ]
    directory = Path(root) / "-".join(part for part in parts if part) / "eval"
    workdir = directory / resolved("eval", preset, flags)["dataset"]
    words = (
        "--mode=eval",
        f"--init={arm.untrained}",
        f"--preset={preset}",
        f"--workdir={workdir.as_posix()}",
    )
    return Stage("eval", directory, words + as_words(flags), f"eval-{preset}", None, 0, {}, preset)


def _run(mode, parts, flags, preset, seed, root, needs):
    """The stage of a run whose directory name is made of `parts`."""
    group = "-".join(part for part in parts if part)
    directory = Path(root) / f"{group}-seed{seed}"
    words = (f"--mode={mode}", f"--preset={preset}", f"--seed={seed}", f"--workdir={directory.as_posix()}")
    return Stage(mode, directory, words + as_words(flags), group, needs, seed, flags, preset)
