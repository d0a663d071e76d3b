"""What a run is: its method and the settings of that method, never its mode alone."""

from mmgl_tf.flags.config import defaults, settings, to_flat, unread_settings
from mmgl_tf.flags.methods import (
    DEFAULTS,
    FINETUNING,
    METHODS,
    fixed,
    groups_of,
    groups_read,
    methods_of,
    title,
)
from mmgl_tf.flags.resolution import resolve

# Groups of settings that make a training what it is, beside those of its method. The others say where its
# images are, and what is done with it afterwards.
DECIDING = ("run", "data", "network", "pretraining", "finetuning", "optimization", "scale")
# Of these groups: which images, start and seed, each of which is said by itself, and how exactly devices
# compute. A start has a best encoder only where people were held out, which is a departure of the start.
SAID_ELSEWHERE = ("mode", "method", "seed", "dataset", "trial", "on_bad_image", "init", "init_weights")
DECIDING_NOTHING = ("deterministic",)
# What people held out are asked, and how often.
WATCHING = (
    "validation_images",
    "validation_permutations",
    "probe_images",
    "retrieval_every_epochs",
    "retrieval_metric",
)
# What fine-tuning does not read: its batches are made of identities.
OF_PRETRAINING = ("batch_size",)
MOST_SAID = 3  # departures in words; more are counted


def departures(saved):
    """Settings of a run that are not those which its method is published with.

    These are --preset=paper's: the paper's, and where it is silent, our choice. Of an import only what is
    built into the network is known, and judged.

    Args:
        saved: flat configuration of a run, from config.json; one of an earlier version may lack names.

    Returns:
        {setting: value}, empty for the method as published.
    """
    return _differing(saved, _expected(saved))


def described(saved):
    """A run's method in words: "MMGL (as published but for pcc=False), no identities".

    Where much differs, a preset or a recipe stands for what it means, and the rest is cut short.

    Args:
        saved: flat configuration of a run.
    """
    method = saved.get("method")
    kind = METHODS.get(method)
    changed = _in_words(saved, getattr(kind, "TITLED_BY", None))
    words = title(method, saved) + (f" (as published but for {changed})" if changed else "")
    if method in FINETUNING or getattr(kind, "WITH_IDENTITIES", False):
        return words
    chosen = saved.get("select_by", "method") != "method"
    return f"{words}, {'identities choose its best epoch alone' if chosen else 'no identities'}"


def built_in(config):
    """Values of the method's settings that are built into the weights, in their order.

    Args:
        config: `mmgl_tf.flags.config.Config`.
    """
    flat = to_flat(config)
    return [flat[name] for name in fixed(config.run.method)]


def _expected(saved, preset="paper", recipe="common"):
    """{setting: value} of what decides the run's weights, as a preset and a recipe have it."""
    mode, method = saved.get("mode"), saved.get("method")
    if method not in methods_of(mode):
        return {}
    groups, given = groups_read(method), {"preset": preset, "recipe": recipe}
    # A method may be published with other settings on another data set.
    given |= {name: saved[name] for name in ("dataset", "world_layout") if name in saved}
    if mode not in DEFAULTS:
        found = defaults()
    else:
        groups = (*DECIDING, *groups_of(method))
        found = defaults() | resolve(mode, given | {"method": method})
    left_out = {*SAID_ELSEWHERE, *DECIDING_NOTHING, *WATCHING}
    left_out |= set(OF_PRETRAINING if mode == "finetune" else ())
    left_out |= set(unread_settings(mode, method) if mode in DEFAULTS else ())
    return {
        entry.name: found[entry.name]
        for group, entry in settings()
        if group in groups and not entry.metadata["resumable"] and entry.name not in left_out
    }


def _differing(saved, expected):
    return {name: saved[name] for name in expected if name in saved and saved[name] != expected[name]}


def _in_words(saved, unsaid):
    """What differs from the method as published, e.g. "preset demo, pcc=False"; "" where nothing does."""
    changed, words = departures(saved), []
    preset, recipe = saved.get("preset", "paper"), saved.get("recipe", "common")
    named = [f"preset {preset}"] if preset != "paper" else []
    named += [f"recipe {recipe}"] if recipe != "common" else []
    if named:
        rest = _differing(saved, _expected(saved, preset, recipe))
        if len(named) + len(rest) < len(changed):
            changed, words = rest, named
    words = words + [f"{name}={value}" for name, value in changed.items() if name != unsaid]
    more = f" and {len(words) - MOST_SAID} more" if len(words) > MOST_SAID else ""
    return ", ".join(words[:MOST_SAID]) + more
