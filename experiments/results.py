"""What is on disk about one cell: the figures of its evaluation, its steps and its time."""

import json
from dataclasses import dataclass, field

from experiments import stage_files

METRICS = {"rank1": "Rank-1", "rank10": "Rank-10", "rank20": "Rank-20", "mAP": "mAP", "mINP": "mINP"}


@dataclass(frozen=True)
class Selection:
    """Which of the evaluations in results.json a table shows.

    Args:
        search: "all" or "indoor"; a protocol without kinds of search matches either.
        shots: gallery images per identity and camera; a protocol that takes the whole gallery matches any.
        feature: e.g. "pool"; "" = the first of the method's, which is the one that its paper reports.
        weights: "last" or "best". What was never trained matches either, and any feature.
        direction: e.g. "infrared_to_visible"; "" = the protocol's first.
        dataset: directory below the run's eval/; "" = the only one.
    """

    search: str = "all"
    shots: int = 1
    feature: str = ""
    weights: str = "last"
    direction: str = ""
    dataset: str = ""

    @property
    def setting(self):
        """Under which name `Arm.paper` has the paper's numbers: "all", "indoor 10", "visible_to_infrared"."""
        return self.direction or (self.search if self.shots == 1 else f"{self.search} {self.shots}")

    def matches(self, cell):
        """Whether a cell of results.json is the one."""
        return (
            cell["search"] in ("", self.search)
            and cell["shots"] in (0, self.shots)
            and (not self.feature or cell["feature"] in (self.feature, "descriptor"))
            and cell["weights"] in (self.weights, "none")
            and self.direction in ("", cell["direction"])
        )


@dataclass(frozen=True)
class Reading:
    """One cell as it stands on disk.

    Args:
        status: "missing", "done", or "fail": it broke, collapsed, or found nobody but by chance.
        values: {metric: per cent}, empty unless done.
        steps: (pre-training's or None, fine-tuning's or None).
        seconds: (pre-training's or None, fine-tuning's or None).
        protocol: one line that says how the values were measured; "" unless done.
        by: what of the network was measured, and how, in words; "" unless done. Methods differ in it.
        validation: the fine-tuning's last mAP on validation people, per cent; None where none were held out.
        best_epoch: (epoch of the best one, epochs); None where none were held out.
    """

    status: str
    values: dict = field(default_factory=dict)
    steps: tuple = (None, None)
    seconds: tuple = (None, None)
    protocol: str = ""
    by: str = ""
    validation: float | None = None
    best_epoch: tuple | None = None


def read(cell, selection):
    """Read one cell.

    Args:
        cell: `experiments.cell.Cell`.
        selection: `Selection`.

    Returns:
        `Reading`.

    Raises:
        ValueError: the evaluation is complete but does not hold what was selected, or more than that.
    """
    runs = cell.stages[:-1]
    marks = [stage_files.read_done(stage) for stage in runs]
    seconds = tuple(mark and mark["seconds"] for mark in marks)
    seconds = (None, None, *seconds)[-2:]
    if any(mark is not None and mark["status"] == stage_files.FAIL for mark in marks):
        return Reading("fail", seconds=seconds)
    if stage_files.read_done(cell.stages[-1]) is None:
        return Reading("missing", seconds=seconds)
    after = _summary(runs[-1].directory) if runs else {}
    if after.get("at_chance"):
        return Reading("fail", seconds=seconds)
    path, results = _results(cell.run / "eval", selection)
    if results.get("at_chance"):
        return Reading("fail", seconds=seconds)
    chosen = _only(path, results, selection)
    values = {metric: 100.0 * chosen[metric]["mean"] for metric in METRICS}
    before = _last_row(_summary(runs[0].directory)).get("step") if len(runs) == 2 else None
    last = _last_row(after)
    held_out = "validation/mAP" in last
    return Reading(
        "done",
        values,
        (before, results.get("steps")),
        seconds,
        _protocol(results, chosen),
        _by(chosen),
        validation=100.0 * last["validation/mAP"] if held_out else None,
        best_epoch=(after.get("best_epoch"), last["epoch"]) if held_out else None,
    )


def _results(directory, selection):
    """(path, content) of the results.json that is meant."""
    pattern = f"{selection.dataset or '*'}/results.json"
    paths = sorted(directory.glob(pattern))
    if len(paths) != 1:
        found = sorted(path.parent.name for path in directory.glob("*/results.json"))
        raise ValueError(
            f"{directory} holds {len(paths)} of {pattern}, one is needed; "
            f"choose with --dataset from: {', '.join(found) or 'nothing'}"
        )
    return paths[0], json.loads(paths[0].read_text())


def _only(path, results, selection):
    """The cell of results.json that is meant; of directions and features the first, where none was chosen."""
    matching = [cell for cell in results["cells"] if selection.matches(cell)]
    for name in ("direction", "feature"):
        if not getattr(selection, name):
            matching = [cell for cell in matching if cell[name] == matching[0][name]]
    if len(matching) != 1:
        names = ("search", "shots", "direction", "feature", "weights", "draw", "flip", "rerank")
        there = "\n".join("  " + ", ".join(f"{n} {cell[n]}" for n in names) for cell in results["cells"])
        raise ValueError(
            f"{path}: {len(matching)} evaluations match {selection}, one is needed. It holds\n{there}"
        )
    return matching[0]


def _protocol(results, cell):
    """One line: how the values were measured."""
    parts = [
        results["dataset"],
        f"{cell['search']} search" if cell["search"] else "",
        {0: "whole gallery", 1: "single-shot"}.get(cell["shots"], f"{cell['shots']}-shot"),
        cell["direction"].replace("_", " "),
        f"{cell['queries']:,} queries, {cell['gallery']:,} in the gallery",
        f"mean of {cell['trials']} trials ({cell['draw']} draw)",
        "re-ranked" if cell["rerank"] else "",
    ]
    return ", ".join(part for part in parts if part)


def _by(cell):
    """What of the network was measured: of one that was never trained, nothing that could be told apart."""
    if cell["weights"] == "none":
        return ""
    mirrored = ", mirrored images averaged" if cell["flip"] else ""
    return f"{cell['feature']} feature, {cell['weights']} weights{mirrored}"


def _summary(directory):
    """What a run wrote at its end; {} where it left nothing."""
    try:
        return json.loads((directory / "summary.json").read_text())
    except FileNotFoundError:
        return {}


def _last_row(summary):
    """The figures of a run's last epoch; {} in a summary without."""
    return summary.get("last") or {}
