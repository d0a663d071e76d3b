"""What a finished fine-tuning prints: did it learn, does it find unseen people, and where everything is."""

import json
import math

from mmgl_tf.modes.training.summary import peak_memory_gigabytes
from mmgl_tf.run_directory import atomic_file
from mmgl_tf.training.progress import duration
from mmgl_tf.visualization.curves import training_curves
from mmgl_tf.visualization.grid import write_png

TITLES = {
    "loss/identity": "identity cross-entropy",
    "loss/triplet": "triplet loss",
    "accuracy/identity": "identity named right",
    "accuracy/triplet": "positive nearer than negative",
    "validation/rank1": "Rank-1 on validation identities",
    "validation/mAP": "mAP on validation identities",
}


def summarise(config, run, rows, saving, model):
    """Print the table, write the same figures to summary.json and the curves as PNG.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        run: `RunDirectory`.
        rows: rows of metrics.jsonl; row 0 is the first step.
        saving: `mmgl_tf.training.saving.Saving`, for the best epoch.
        model: `FinetuningModel`.
    """
    first, last = rows[0], rows[-1]
    chance = {"loss/identity": math.log(model.num_identities), "accuracy/identity": 1 / model.num_identities}
    lines = ["", f"{'':34}{'first step':>12}{'last epoch':>12}{'chance':>10}"]
    for name, title in TITLES.items():
        if name in last:
            values = [first.get(name), last[name], chance.get(name)]
            cells = [_cell(name, value, width) for value, width in zip(values, (12, 12, 10), strict=True)]
            lines.append(f"{title:34}{''.join(cells)}")
    best = f"epoch {saving.best_epoch}, by validation {config.validation.retrieval_metric}"
    lines += [
        "",
        f"time       {duration(last['time/seconds'])} for {last['step']} steps; last epoch "
        f"{last['throughput/images_per_second']:.3g} images/s, "
        f"{last['throughput/data_wait_share']:.0%} of it waiting for data",
        f"memory     {peak_memory_gigabytes():.1f} GB at most in this process",
        f"weights    {run.weights('embedder', 'last')}"
        + (f" and embedder_best ({best})" if saving.best_epoch else "; no best, as nobody was held out"),
        f"curves     {run.pictures / 'curves.png'}; tensorboard --logdir {run.root}",
        f"evaluate   python main.py --mode=eval --init={run.root}",
    ]
    print("\n".join(lines), flush=True)
    write_png(training_curves(rows, chance), run.pictures / "curves.png")
    with atomic_file(run.root / "summary.json", "w") as file:
        json.dump(
            {"status": "complete", "first": first, "last": last, "best_epoch": saving.best_epoch},
            file,
            indent=2,
        )


def _cell(name, value, width):
    if value is None:
        return " " * width
    return f"{value:>{width}.3f}" if name.startswith("loss/") else f"{value:>{width}.1%}"
