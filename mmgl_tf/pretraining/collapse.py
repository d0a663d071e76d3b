"""Whether a network still tells images apart: the spread of what the losses see, epoch by epoch.

Methods without negatives reach their best loss with a network that answers every image alike, so the loss
cannot tell. What is judged is the projector's output; the trunk's features are close together in a sound
network too, and are only reported.

Legend: M images, D embedding size.
"""

import dataclasses
import math

from mmgl_tf.pretraining.embedding_spread import feat_std

STATES = ("healthy", "alarm", "collapsed")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What an epoch's figures say.

    Attributes:
        state: one of `STATES`.
        group: whose embeddings say so, such as "infrared": those of the smallest spread in that state.
        spread: of that group; None where nothing was judged.
        limit: what the spread is below; None where healthy.
        epochs: for how many epochs running.
    """

    state: str
    group: str | None = None
    spread: float | None = None
    limit: float | None = None
    epochs: int = 0

    @property
    def reason(self):
        """The finding as a sentence, empty where healthy."""
        if self.state == "healthy":
            return ""
        return (
            f"the projector's {self.group} embeddings have {self.spread:.2g} of an even spread, below "
            f"{self.limit:g}, and were below it for {self.epochs} epochs running"
        )


def spreads(visible=None, infrared=None):
    """How far the embeddings of each modality, and of both, are from a point.

    Each modality for itself, because two points, one a modality, have a sound joint spread.

    Hand over what the losses see, the projector's output on batch statistics. With the moving statistics of
    a young network, which are not its own, the images lie close together: an untrained ResNet-50 has 0.04 of
    an even spread there, and 0.26 (SimCLR) to 0.99 (SimSiam) on batch statistics.

    Behind a batch norm without offset, as SimSiam's projector ends, the mean is 0, so that all images cannot
    be one point; two opposite points have a spread of about 0.8, and an `effective_rank` of 1 tells.

    Args:
        visible: float [M, D], the projector's output, at least two rows; None for a method without such
            images.
        infrared: the same.

    Returns:
        {"visible", "infrared", "joint": feat_std sqrt(D)}, floats: 0 for a point, about 1 for an even spread;
        "joint" only where both are there.
    """
    groups = {"visible": visible, "infrared": infrared}
    groups = {name: embeddings for name, embeddings in groups.items() if embeddings is not None}
    if len(groups) == 2:
        groups["joint"] = [*visible, *infrared]
    return {name: feat_std(rows) * math.sqrt(len(rows[0])) for name, rows in groups.items()}


class CollapseMonitor:
    """Judges the spreads at the end of each epoch.

    A group is in alarm below 0.2 of an even spread, collapsed below 0.05 (feat_std below 0.2 / sqrt(D) and
    0.05 / sqrt(D)), if it was so in each of the last `patience` epochs, all of them after the warm-up. One
    group is enough. A spread that is not a number is not below anything: other guards stop such runs.

    Args:
        warmup_epochs: first epochs, which are not judged: an untrained projector says little.
        alarm: share of an even spread.
        collapsed: the same, at most `alarm`.
        patience: epochs running, at least 1.
    """

    def __init__(self, warmup_epochs, alarm=0.2, collapsed=0.05, patience=2):
        if warmup_epochs < 0 or patience < 1 or not 0.0 <= collapsed <= alarm:
            raise ValueError(
                f"CollapseMonitor got warmup_epochs={warmup_epochs}, alarm={alarm}, collapsed={collapsed}, "
                f"patience={patience}; expected at least 0 epochs of warm-up, 0 <= collapsed <= alarm, and a "
                "patience of at least 1."
            )
        self.warmup_epochs, self.patience = warmup_epochs, patience
        self.limits = {"collapsed": collapsed, "alarm": alarm}
        self._seen = {}

    def judge(self, epoch, spreads):
        """Adds an epoch's figures to those before, and says what they mean.

        An epoch that is judged again, after a resumed run went back to its checkpoint, replaces what was
        known of it and of later ones.

        Args:
            epoch: number of the epoch that ended, from 0.
            spreads: {group: spread}, from `spreads`.

        Returns:
            `Verdict`.
        """
        first = epoch - self.patience + 1
        self._seen = {seen: values for seen, values in self._seen.items() if first <= seen < epoch}
        if epoch >= self.warmup_epochs:
            self._seen[epoch] = {group: float(value) for group, value in spreads.items()}
        if len(self._seen) < self.patience:
            return Verdict("healthy")
        for state, limit in self.limits.items():  # the worse one first
            below = {
                group: value
                for group, value in self._seen[epoch].items()
                if all(values.get(group, math.inf) < limit for values in self._seen.values())
            }
            if below:
                group = min(below, key=below.get)
                return Verdict(state, group, below[group], limit, self.patience)
        return Verdict("healthy")

    def state(self):
        """What `restore` needs to go on, in JSON's types: {epoch: {group: spread}}."""
        return {str(epoch): dict(values) for epoch, values in self._seen.items()}

    def restore(self, state):
        """Takes up the figures of the epochs before.

        Args:
            state: as `state` returned it.
        """
        self._seen = {int(epoch): dict(values) for epoch, values in state.items()}
