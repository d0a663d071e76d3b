"""What is on disk about an experiment, as Markdown: seeds, means, paired differences, time, the paper."""

from experiments.endings import ending_rows
from experiments.estimates import clock
from experiments.paired import mean_and_deviation, paired_difference
from experiments.paper_tables import FAIL, OWN
from experiments.pretext import methods_differ, pretext_by_method, pretext_rows
from experiments.results import METRICS, read
from experiments.settings import resolved

PAIRED_METRICS = ("rank1", "mAP")


def table(name, experiment, cells, selection):
    """The tables of one experiment.

    All figures are per cent with one decimal; standard deviations are n - 1 over seeds.

    Args:
        name: of the experiment.
        experiment: `experiments.cell.Experiment`.
        cells: its `experiments.cell.Cell`s.
        selection: `experiments.results.Selection`.

    Returns:
        Markdown, str.

    Raises:
        ValueError: the cells were not evaluated alike.
    """
    seeds = sorted({cell.seed for cell in cells})
    readings = {(cell.arm.name, cell.seed): read(cell, selection) for cell in cells}
    missing = sum(reading.status == "missing" for reading in readings.values())
    protocol = _one_protocol(readings, _methods(cells))
    parts = [
        f"### {name}",
        experiment.about,
        f"Measured: {protocol}." if protocol else "Nothing is evaluated yet.",
        f"{missing} of {len(readings)} cells are still to be run." if missing else "",
        _arm_table(experiment, seeds, readings, selection),
        _paired_table(experiment, seeds, readings),
        _pretext_table(experiment, cells),
        _ending_table(experiment, cells),
        "\n".join(f"- {arm.name}: {arm.note}" for arm in experiment.arms if arm.note),
    ]
    return "\n\n".join(part for part in parts if part)


def _methods(cells):
    """{name of an arm: its fine-tuning method}, "" for what is never trained."""
    trained = [cell.stages[-2] if len(cell.stages) > 1 else None for cell in cells]
    return {
        cell.arm.name: resolved("finetune", stage.preset, stage.flags)["method"] if stage else ""
        for cell, stage in zip(cells, trained, strict=True)
    }


def _one_protocol(readings, methods):
    """How everything was measured; two ways in one table would be no comparison.

    Args:
        readings: {(name of the arm, seed): `Reading`}.
        methods: {name of the arm: its fine-tuning method}. Each has a feature of its own.
    """
    found, features = {}, {}
    for key, reading in readings.items():
        if reading.protocol and reading.steps != (None, None):  # not what was never trained: it has no neck
            found.setdefault(reading.protocol, key)
            features.setdefault(methods[key[0]], {}).setdefault(reading.by, key)
    for ways in (found, *features.values()):
        if len(ways) > 1:
            listing = "\n".join(f"  {arm}, seed {seed}: {way}" for way, (arm, seed) in ways.items())
            raise ValueError(
                f"cells were evaluated differently; delete the odd ones' eval/ to redo them:\n{listing}"
            )
    by = {way for ways in features.values() for way in ways}
    if len(by) > 1:
        return "; ".join(
            [*found, *(f"{method} by its {way}" for method, ways in features.items() for way in ways)]
        )
    return ", ".join([*found, *by])


def _arm_table(experiment, seeds, readings, selection):
    papers = [arm.paper.get(selection.setting, {}) for arm in experiment.arms]
    paper_metrics = [metric for metric in METRICS if any(metric in paper for paper in papers)]
    columns = [f"trial {seed + 1}" if experiment.by_trial else f"seed {seed}" for seed in seeds]
    header = ["arm", *columns, *METRICS.values()]
    if paper_metrics:
        header.append(f"{experiment.paper or 'paper'}: {' / '.join(METRICS[m] for m in paper_metrics)}")
    held_out = any(reading.validation is not None for reading in readings.values())
    header += ["validation mAP", "best epoch"] if held_out else []
    header += ["steps", "time"]
    rows = []
    for arm, paper in zip(experiment.arms, papers, strict=True):
        own = [readings[arm.name, seed] for seed in seeds]
        row = [arm.name, *map(_seed_text, own), *(_mean_text(own, metric) for metric in METRICS)]
        if paper_metrics:
            row.append(_paper_text(paper, paper_metrics))
        row += _validation_texts(own) if held_out else []
        rows.append([*row, _steps_text(own), _time_text(own)])
    what = "Trials" if experiment.by_trial else "Seeds"
    caption = (
        f"{what}: Rank-1 / mAP. Steps and time: pre-training + fine-tuning; wall-clock time, mean over seeds."
    )
    if held_out:
        caption += " Validation mAP: of the last epoch; best epoch: the one with the highest, of how many."
    return f"{markdown(header, rows)}\n\n{caption}"


def _paper_text(paper, metrics):
    """The paper's numbers, and in brackets those that the method's own authors report where they differ."""
    if not paper:
        return ""
    if paper == FAIL:
        return "fail"
    own = paper.get(OWN, {})
    beside = [f"{METRICS[metric]} {_number(own[metric])}" for metric in metrics if metric in own]
    text = " / ".join(_number(paper.get(metric)) for metric in metrics)
    return f"{text} (its code: {', '.join(beside)})" if beside else text


def _paired_table(experiment, seeds, readings):
    rows = []
    for arm in experiment.arms:
        partner = experiment.partner_of(arm)
        if not partner or arm.untrained:
            continue
        row = [f"{arm.name} - {partner}"]
        for metric in PAIRED_METRICS:
            values, partner_values = (
                {
                    seed: readings[name, seed].values[metric]
                    for seed in seeds
                    if readings[name, seed].status == "done"
                }
                for name in (arm.name, partner)
            )
            row += _difference_texts(paired_difference(values, partner_values))
        rows.append(row)
    if not rows:
        return ""
    header = ["paired difference"]
    for metric in PAIRED_METRICS:
        header += [METRICS[metric], "t", "same sign"]
    return markdown(header, rows)


def _pretext_table(experiment, cells):
    found = (pretext_by_method if methods_differ(experiment) else pretext_rows)(experiment, cells)
    header, rows = found
    return markdown(header, rows) if rows else ""


def _ending_table(experiment, cells):
    header, rows = ending_rows(experiment, cells)
    return markdown(header, rows) if rows else ""


def _seed_text(reading):
    if reading.status != "done":
        return {"fail": "fail", "missing": ""}[reading.status]
    return " / ".join(f"{reading.values[metric]:.1f}" for metric in PAIRED_METRICS)


def _mean_text(readings, metric):
    found = mean_and_deviation(reading.values[metric] for reading in readings if reading.status == "done")
    fails = sum(reading.status == "fail" for reading in readings)
    if found is None:
        return "fail" if fails else ""
    text = f"{found.mean:.1f}" + ("" if found.deviation is None else f" ± {found.deviation:.1f}")
    return f"{text} ({fails} fail)" if fails else text


def _difference_texts(difference):
    """[mean ± sd, t, seeds of the same sign]."""
    if difference is None:
        return ["", "", ""]
    found = difference.statistics
    text = f"{found.mean:+.1f}" + ("" if found.deviation is None else f" ± {found.deviation:.1f}")
    t = "" if difference.t is None else f"{difference.t:.1f}"
    return [text, t, f"{difference.same_sign}/{found.n}"]


def _validation_texts(readings):
    """[last mAP on validation people, best epoch of how many]; where seeds differ, the range."""
    found = [reading for reading in readings if reading.validation is not None]
    if not found:
        return ["", ""]
    measured = mean_and_deviation(reading.validation for reading in found)
    text = f"{measured.mean:.1f}" + ("" if measured.deviation is None else f" ± {measured.deviation:.1f}")
    best = sorted(reading.best_epoch[0] for reading in found if reading.best_epoch[0] is not None)
    epochs = "-".join(map(str, sorted({best[0], best[-1]}))) if best else "none"
    return [text, f"{epochs} of {found[0].best_epoch[1]}"]


def _number(value):
    """A number of the paper, "fail", or a dash where it has none."""
    return "-" if value is None else value if isinstance(value, str) else f"{value:.1f}"


def _steps_text(readings):
    """Steps of pre-training + fine-tuning; where seeds differ (stopped early), the range."""
    return _sum_text(
        readings, "steps", lambda values: "-".join(f"{v:,}" for v in sorted({values[0], values[-1]}))
    )


def _time_text(readings):
    """Mean seconds of pre-training + fine-tuning."""
    return _sum_text(readings, "seconds", lambda values: clock(mean_and_deviation(values).mean))


def _sum_text(readings, attribute, show):
    """Pre-training's + fine-tuning's part of a reading; `show` gets the sorted values of all seeds."""
    parts = []
    for index in (0, 1):
        values = sorted(v for r in readings if (v := getattr(r, attribute)[index]) is not None)
        if values:
            parts.append(show(values))
    return " + ".join(parts)


def markdown(header, rows):
    """A table; the first column is aligned left, the others right.

    Args:
        header: list of str.
        rows: list of lists of str, each as long as the header.

    Returns:
        str.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells):
        texts = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return f"| {' | '.join(texts)} |"

    rule = ["-" * widths[0], *("-" * (max(w, 2) - 1) + ":" for w in widths[1:])]
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])
