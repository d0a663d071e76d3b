"""What a finished pre-training run prints: did it learn, how fast, and where everything is."""

import json
import sys

from mmgl_tf.modes.training.chance import chance_values
from mmgl_tf.run_directory import atomic_file
from mmgl_tf.training.progress import duration

TITLES = {
    "permutation_whole": "whole permutation right",
    "permutation_stripe": "stripes put right",
    "part": "stripes classified right",
}
TERMS = {
    "permutation": "permutation recovery",
    "part": "part cross-entropy",
    "cycle_contrast": "cycle contrast",
}


def peak_memory_gigabytes():
    """The most main memory this process ever held, in 10^9 bytes; device memory does not count."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def summarise(config, run, rows, saving, identities_known):
    """Print the tables, and write them to summary.txt and their figures to summary.json.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        run: `RunDirectory`.
        rows: rows of metrics.jsonl; row 0 is the first step.
        saving: `mmgl_tf.training.saving.Saving`, for the best epoch.
        identities_known: whether held-out images are of other people than training images for sure.
    """
    chance, first, last = chance_values(config), rows[0], rows[-1]
    lines = [""]
    held_out_images = config.data.train_ids == "train"
    held_out = [name for name in TITLES if f"validation/accuracy/{name}_visible" in last]
    if held_out:
        who = "identities never seen" if identities_known else "held-out images"
        lines.append(f"{who + ', last epoch':34}{'visible':>10}{'infrared':>10}{'chance':>10}")
        for name in held_out:
            values = [last[f"validation/accuracy/{name}_{modality}"] for modality in ("visible", "infrared")]
            cells = "".join(f"{value:>10.1%}" for value in values)
            lines.append(f"{TITLES[name]:34}{cells}{chance[f'accuracy/{name}']:>10.2%}")
    elif not held_out_images:
        lines.append(
            "no identities were held out (--train_ids=train does), so there is no accuracy on unseen ones"
        )
    lines += ["", f"{'loss':34}{'first step':>10}{'last epoch':>12}{'chance':>10}"]
    for name in (name for name in TERMS if f"loss/{name}" in last):
        key = f"loss/{name}"
        lines.append(f"{TERMS[name]:34}{first[key]:>10.3f}{last[key]:>12.3f}{chance[key]:>10.3f}")
    seconds = last["time/seconds"]
    rate = last["throughput/images_per_second"]
    why = "there is no accuracy to choose by" if held_out_images else "nothing is held out"
    best = f"epoch {saving.best_epoch}" if saving.best_epoch else f"not chosen, {why}"
    lines += [
        "",
        f"time       {duration(seconds)} for {last['step']} steps; last epoch {rate:.3g} images/s, "
        f"{2 * config.optimization.batch_size / rate:.3g} s a step, "
        f"{last['throughput/data_wait_share']:.0%} of it waiting for data",
        f"memory     {peak_memory_gigabytes():.1f} GB at most in this process",
        f"encoder    {run.weights('encoder', 'best' if saving.best_epoch else 'last')} (best: {best})",
        f"pictures   {run.pictures}",
        f"curves     tensorboard --logdir {run.root}",
    ]
    if config.run.preset == "smoke":
        lines.append("(a smoke run is too short to learn: figures near chance are as they should be)")
    text = "\n".join(lines)
    print(text, flush=True)
    with atomic_file(run.root / "summary.txt", "w") as file:
        file.write(text + "\n")
    with atomic_file(run.root / "summary.json", "w") as file:
        json.dump(
            {"first": first, "last": last, "chance": chance, "best_epoch": saving.best_epoch}, file, indent=2
        )
