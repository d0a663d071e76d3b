"""What a finished training prints: did it learn, how fast, and where everything is."""

import json
import sys

from mmgl_tf.figures import FILE, as_json, chance_values
from mmgl_tf.flags.presets import long_enough
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.run_directory import atomic_file
from mmgl_tf.training.progress import duration


def peak_memory_gigabytes():
    """The most main memory this process ever held, in 10^9 bytes; device memory does not count."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def write_figures(run, figures):
    """Keep what the names in metrics.jsonl mean, for whoever reads them without the method's code."""
    with atomic_file(run.root / FILE, "w") as file:
        file.write(as_json(figures) + "\n")


def summarise(config, plan, run, rows, saving, figures, held_out, places, at_chance=""):
    """Print the tables, and write them to summary.txt and their figures to summary.json.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        plan: `mmgl_tf.training.plan.TrainingPlan`.
        run: `RunDirectory`.
        rows: rows of metrics.jsonl; row 0 is the first step.
        saving: `mmgl_tf.training.saving.Saving`, for the best epoch.
        figures: tuple of `mmgl_tf.figures.Figure`, what the method reports.
        held_out: who the held-out images show, e.g. "identities never seen"; "" where there are none.
        places: (name, text) lines on where weights and pictures are.
        at_chance: why the run counts as failed although nothing broke, or "".
    """
    first, last = rows[0], rows[-1]
    lines = ["", *_held_out_table(figures, last, held_out), *_training_table(figures, first, last)]
    rate, images = last["throughput/images_per_second"], plan.images_per_step
    lines += [
        "",
        f"time       {duration(last['time/seconds'])} for {last['step']} steps; last epoch "
        f"{rate:.3g} images/s, {images / rate:.3g} s a step, "
        f"{last['throughput/data_wait_share']:.0%} of it waiting for data",
        f"memory     {peak_memory_gigabytes():.1f} GB at most in this process",
        *(f"{name:11}{text}" for name, text in places),
        f"curves     {run.pictures / 'curves.png'}; tensorboard --logdir {run.root}",
    ]
    if not long_enough(config.run.preset):
        lines.append("(a smoke run is too short to learn: figures near chance are as they should be)")
    text = "\n".join(lines)
    print(text, flush=True)
    with atomic_file(run.root / "summary.txt", "w") as file:
        file.write(text + "\n")
    with atomic_file(run.root / "summary.json", "w") as file:
        content = {
            "status": "complete",
            "first": first,
            "last": last,
            "chance": chance_values(figures),
            "best_epoch": saving.best_epoch,
        }
        if at_chance:
            content["at_chance"] = at_chance
        json.dump(content, file, indent=2)


def _held_out_table(figures, last, who):
    """Figures of held-out images, each modality apart."""
    shown = [
        f
        for f in figures
        if f.summary and f.held_out and any(f"validation/{f.name}_{m}" in last for m in MODALITIES)
    ]
    if not who:
        return [
            "no identities were held out (--train_ids=train does), so there is no accuracy on unseen ones",
            "",
        ]
    if not shown:
        return []
    lines = [f"{who + ', last epoch':38}{'visible':>10}{'infrared':>10}{'chance':>10}"]
    for figure in shown:
        values = [last.get(f"validation/{figure.name}_{modality}") for modality in MODALITIES]
        chance = _chance(figure, figure.chance_on_held_out())
        lines.append(f"{figure.title:38}{''.join(map(figure.text, values))}{chance}")
    return [*lines, ""]


def _training_table(figures, first, last):
    """Figures of training, of the looks after each epoch, and of the search of validation identities."""
    told = [
        (f"{figure.title}, {whose}" if whose else figure.title, name, figure)
        for figure in figures
        if figure.summary
        for whose, name in figure.names_in(last, "" if figure.held_out else figure.prefix).items()
    ]
    width = max([37, *(len(title) for title, _, _ in told)]) + 1
    lines = [f"{'':{width}}{'first step':>12}{'last epoch':>12}{'chance':>10}"]
    for title, name, figure in told:
        values = figure.text(first.get(name), 12) + figure.text(last[name], 12)
        lines.append(f"{title:{width}}{values}{_chance(figure, figure.chance)}")
    return lines


def _chance(figure, chance, width=10):
    if figure.axis == "share" and chance is not None:
        return f"{chance:>{width}.2%}"
    return figure.text(chance, width)
