"""Whether a network still tells images apart, judged by what its losses see, epoch by epoch.

Methods without negatives reach their best loss with a network that answers every image alike, so the loss
cannot tell. What is judged is the projector's output as the loss takes it; the trunk's features are close
together in a sound network too, and are only reported.

Each way to collapse has a figure of its own, of each modality and of both, because two points, one a
modality, are sound together:

    a point                              the spread is 0
    a line, two points, a plane          the spread is sound, the effective rank is 1 or 2
    a point, blown up by a last norm     both are sound, as round-off and noise fill every dimension; the
                                         share of the variance that the norm lets stand is 0

Legend: M images, D embedding size.
"""

import dataclasses
import math

import numpy as np

from mmgl_tf.pretraining.monitor.embedding_spread import effective_rank, feat_std, mean_cosine

SPREAD = "projection/spread"
RANK = "projection/effective_rank"
VARIANCE = "projection/variance_share"
PATIENCE = 2  # epochs running
# Fewer images span so few dimensions, whatever the network, that their number says nothing.
FEWEST_FOR_A_RANK = 8


@dataclasses.dataclass(frozen=True)
class Rule:
    """One figure, and below what it is suspicious or the end of a run.

    Attributes:
        figure: its name; those of one modality end in "_visible" and "_infrared".
        alarm: a smaller value is told and stops nothing.
        collapsed: a smaller value stops the run; at most `alarm`.
        finding: a sentence's end, with the value as {}.
    """

    figure: str
    alarm: float
    collapsed: float
    finding: str


RULES = (
    Rule(SPREAD, 0.2, 0.05, "have {:.2g} of an even spread"),
    Rule(RANK, 4.0, 3.0, "differ in {:.2g} dimensions (effective rank)"),
    Rule(VARIANCE, 0.5, 0.1, "keep {:.2g} of their variance in the last norm, whose epsilon hides the rest"),
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the last epochs' figures say.

    Attributes:
        state: "healthy", "alarm" or "collapsed".
        reason: the finding as a sentence, "" where healthy.
    """

    state: str = "healthy"
    reason: str = ""


def projection_figures(groups, before_norm=None):
    """The figures that are judged, and the mean cosine.

    Hand over rows on batch statistics. With the moving statistics of a young network, which are not its own,
    the images lie close together: an untrained ResNet-50 has 0.04 of an even spread there, and 0.26 (SimCLR)
    to 0.99 (SimSiam) on batch statistics.

    Args:
        groups: {"visible": float [M, D], "infrared": the same}, or one of them: what the losses see, at least
            two rows each.
        before_norm: the same of what goes into a last norm without scale, in units of the root of its
            epsilon; None for a method without such a norm.

    Returns:
        {name: float}, the names of one modality with its suffix, those of both without:

        - "projection/spread": `feat_std` times sqrt(D), 0 for a point, about 1 for an even spread;
        - "projection/mean_cosine" of two images;
        - "projection/effective_rank": how many dimensions the images differ in, the mean of the group removed
          so that a common direction counts for nothing: 1 for a line or two points. It is left out for fewer
          than 8 images;
        - "projection/variance_share": v / (v + epsilon), v the variance before the norm, averaged over
          dimensions: 1 where the epsilon does not matter, 0 for a point.
    """
    found = {}
    for suffix, rows in by_group(groups).items():
        found[SPREAD + suffix] = feat_std(rows) * math.sqrt(rows.shape[1])
        found["projection/mean_cosine" + suffix] = mean_cosine(rows)
        if len(rows) >= FEWEST_FOR_A_RANK:
            found[RANK + suffix] = effective_rank(rows - rows.mean(axis=0))
    for suffix, rows in by_group(before_norm or {}).items():
        variance = rows.var(axis=0)
        found[VARIANCE + suffix] = float(np.mean(variance / (variance + 1.0)))
    return found


def by_group(groups):
    """{suffix of a figure's name: float64 rows}: of each modality and of all, or of the only one.

    Args:
        groups: {modality: [M, D]}.
    """
    rows = {f"_{name}": np.asarray(value, np.float64) for name, value in groups.items()}
    whole = {"": np.concatenate(list(rows.values()))} if rows else {}
    return rows | whole if len(rows) > 1 else whole


def judge(epochs, warmup_epochs):
    """What the last epoch means, together with the one before.

    A state is that of `PATIENCE` epochs running, all of them after the warm-up. One figure of one group is
    enough. A figure that is not there, as it was not a number, is not below anything: other guards stop such
    runs.

    Args:
        epochs: {epoch from 1: {name: figure}}.
        warmup_epochs: first epochs, which are not judged: an untrained projector says little.

    Returns:
        `Verdict`, of the worst state that any figure is in.
    """
    last = max(epochs, default=0)
    running = range(last - PATIENCE + 1, last + 1)
    if running[0] <= warmup_epochs or any(epoch not in epochs for epoch in running):
        return Verdict()
    for state in ("collapsed", "alarm"):
        for rule in RULES:
            limit = getattr(rule, state)
            worst = {
                name: max(epochs[epoch].get(name, math.inf) for epoch in running)
                for name in epochs[last]
                if name.startswith(rule.figure)
            }
            below = [name for name, value in worst.items() if value < limit]
            if below:
                name = min(below, key=epochs[last].get)
                group = name.removeprefix(rule.figure).removeprefix("_") or "joint"
                return Verdict(
                    state,
                    f"the projector's {group} embeddings {rule.finding.format(epochs[last][name])}, below "
                    f"{limit:g}, and were below it for {PATIENCE} epochs running",
                )
    return Verdict()
