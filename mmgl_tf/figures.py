"""What a figure of a run is: how a loss or an accuracy is called, drawn and compared.

A method states its figures once, as `Figure` records. The progress bar, the summaries, the curves, the chance
columns and the experiments' tables read them there and know none by name: a new figure is shown by all of
them, unless its record says otherwise (`short`, `summary`).
"""

import dataclasses
import json
from dataclasses import dataclass

# How the y axis of a curve begins: at 0, with the data, or fixed from 0 to 1. Shares are printed in per cent.
AXES = ("zero", "free", "share")
# A figure that a network without any knowledge has no value of.
HAS_NONE = None
PREFIXES, SUFFIXES = ("", "validation/"), ("", "_visible", "_infrared")
FILE = "figures.json"  # beside metrics.jsonl: what its names mean


@dataclass(frozen=True)
class Figure:
    """One figure that a run reports.

    Attributes:
        name: slash-grouped, as in metrics.jsonl: "loss/permutation". It stands for its relatives too: the
            same on held-out images ("validation/loss/permutation") and of one modality ("..._visible").
        title: what it is, in lower case: "permutation loss".
        chance: its value for a network that knows nothing; `HAS_NONE` where there is no such value. It has
            no default: whoever adds a figure has to think of it.
        axis: one of `AXES`.
        short: label in the progress bar; "" = not shown there.
        panel: figures of the same panel are drawn into one; "" = a panel of its own.
        line: label of the figure's line in such a panel.
        held_out: whether it is also measured on held-out images, each modality apart.
        held_out_chance: chance on held-out images where it is another one; None = the same.
        source: who measures it: "step" = every training step; "probe" = a look at fixed images after each
            epoch; "search" = retrieval of validation identities; "held_out" = held-out images alone.
    """

    name: str
    title: str
    chance: float | None
    axis: str = "zero"
    short: str = ""
    panel: str = ""
    line: str = ""
    held_out: bool = False
    held_out_chance: float | None = None
    source: str = "step"
    summary: bool = True

    @property
    def of_fixed_images(self):
        """Whether it is measured on the same images after each epoch, so that runs can be compared by it."""
        return self.held_out or self.source != "step"

    @property
    def prefix(self):
        """How its name on fixed images begins."""
        return "validation/" if self.held_out or self.source == "search" else ""

    def names_in(self, row, prefix=""):
        """Under which names a row of metrics.jsonl holds it.

        Args:
            row: {name: value}.
            prefix: one of `PREFIXES`.

        Returns:
            {whose: name} of those that are there, in this order: "" of both modalities, "visible",
            "infrared".
        """
        names = {suffix.removeprefix("_"): f"{prefix}{self.name}{suffix}" for suffix in SUFFIXES}
        return {whose: name for whose, name in names.items() if name in row}

    def chance_on_held_out(self):
        """Its chance on held-out images, or `HAS_NONE`."""
        return self.chance if self.held_out_chance is None else self.held_out_chance

    def text(self, value, width=10):
        """A value as tables show it: a share in per cent, anything else with three decimals."""
        if value is None:
            return " " * width
        return f"{value:>{width}.1%}" if self.axis == "share" else f"{value:>{width}.3f}"


# What every training reports, whatever its method.
OF_EVERY_RUN = (
    Figure("loss/total", "total loss", HAS_NONE, "free", short="loss"),
    Figure("gradient/norm", "gradient norm", HAS_NONE),
    Figure("learning_rate", "learning rate", HAS_NONE),
    Figure("throughput/images_per_second", "images per second", HAS_NONE),
    Figure("throughput/data_wait_share", "share of time waiting for data", HAS_NONE, "share"),
    Figure("loss_scale/scale", "loss scale", HAS_NONE),
    Figure("loss_scale/skipped", "steps skipped by loss scaling", HAS_NONE, "share"),
)

# What a search of validation identities finds, whoever trains. Chance depends on who is searched for.
OF_A_SEARCH = (
    Figure("rank1", "Rank-1 on validation identities", HAS_NONE, "share", source="search"),
    Figure("mAP", "mAP on validation identities", HAS_NONE, "share", source="search"),
    Figure("mINP", "mINP on validation identities", HAS_NONE, "share", source="search"),
)


def chance_values(figures):
    """{name of a figure or of a relative of it: chance value}, of those that have one."""
    return {
        f"{prefix}{figure.name}{suffix}": figure.chance_on_held_out() if prefix else figure.chance
        for figure in figures
        if figure.chance is not HAS_NONE
        for prefix in PREFIXES
        for suffix in SUFFIXES
    }


def as_json(figures):
    """The figures as a JSON text, for a file beside a run's metrics."""
    return json.dumps([dataclasses.asdict(figure) for figure in figures], indent=1)


def from_json(text):
    """The inverse of `as_json`.

    Raises:
        ValueError: the text is not of `as_json`.
    """
    try:
        return tuple(Figure(**entry) for entry in json.loads(text))
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a list of figures as this project writes it: {error}") from error
