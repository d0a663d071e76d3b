"""What a run's settings come out as: defaults, then preset, method, recipe, and what was typed over them.

A recipe may state three things by rule rather than by number, as its authors do:

- `base_learning_rate`: learning rate at 256 images a step; the run's is that times images / 256;
- `warmup_share`, `milestone_shares`: of the run's epochs.
"""

from mmgl_tf.flags.config import OF_TRAINING, defaults, unmet, unread_settings
from mmgl_tf.flags.methods import (
    DEFAULTS,
    METHODS,
    evaluated,
    groups_of,
    methods_of,
    preset_of,
    recipes,
    stream,
)
from mmgl_tf.flags.presets import preset
from mmgl_tf.flags.setting import expected_choice, in_words


def resolve(mode, typed):
    """All that a training of `mode` is told by presets, method, recipe and the command line.

    Args:
        mode: value of --mode; of a mode that trains nothing the preset alone counts.
        typed: {setting: value} of the flags that were given.

    Returns:
        {setting: value}; what is not in it keeps its default.

    Raises:
        ValueError: the method is of the other kind of training, has no such recipe, or a flag would do
            nothing.
    """
    name = typed.get("preset", defaults()["preset"])
    found = dict(preset(name, mode))
    if mode and mode not in DEFAULTS:
        refuse_unread(mode, "", typed)
    if mode in DEFAULTS:
        method = typed.get("method") or found.get("method") or DEFAULTS[mode]
        require_method(mode, method)
        refuse_unread(mode, method, typed)
        layout = layout_of(defaults() | found | typed)
        found |= evaluated(method, layout) | preset_of(method, name, layout)
        recipe = _recipe(method, typed.get("recipe", defaults()["recipe"]))
        found |= _with_batch(METHODS[method], defaults() | found, typed)
        found |= _by_rule(recipe, defaults() | found | typed)
        _refuse_idle(typed, defaults() | found | typed)
        found["method"] = method
        if mode == "finetune":
            found["stream"] = _stream(method, typed)
    return found | {key: value for key, value in typed.items() if key != "method" or mode not in DEFAULTS}


def layout_of(values):
    """The data set that a run's images are of, or are drawn like."""
    return values["world_layout"] if values["dataset"] == "synthetic" else values["dataset"]


def require_method(mode, method):
    """Refuse a method that a mode cannot train.

    Raises:
        ValueError: it is unknown, or of the other kind of training.
    """
    if method in methods_of(mode):
        return
    other = next((other for other in DEFAULTS if other != mode and method in methods_of(other)), None)
    why = f"it is a method of --mode={other}" if other else "there is no such method"
    raise ValueError(f"--mode={mode} --method={method}: {why}; {expected_choice(method, methods_of(mode))}")


def refuse_unread(mode, method, typed):
    """Refuse a flag that the run would not read.

    Args:
        mode: value of --mode.
        method: value of --method, "" for a mode that trains nothing.
        typed: {setting: value} of the flags that were given.

    Raises:
        ValueError: names the first of them, and who reads it.
    """
    left_out = unread_settings(mode, method)
    for name in typed:
        if name in left_out:
            raise ValueError(f"--{name} {_who_reads(left_out[name], mode, method)}")


def _who_reads(group, mode, method):
    """The end of the sentence "--name ..." about a setting that a run does not read."""
    if mode not in DEFAULTS:
        return f"is a setting of training, which --mode={mode} does not read; leave it out"
    for other, own in OF_TRAINING.items():
        if group == own:
            return f"is a setting of --mode={other}, which --mode={mode} does not read; leave it out"
    whose = [other for other in METHODS if group in groups_of(other)]
    return (
        f"is a setting of {', '.join(whose)}; --method={method} does not read it. Leave it out, or choose "
        f"its method (`python main.py --method={method} --helpshort` lists what {method} reads)"
    )


def _refuse_idle(typed, values):
    """Refuse a flag that does nothing beside the others, such as Adam's with SGD.

    Args:
        typed: as in `refuse_unread`.
        values: what all settings come out as.
    """
    for name in typed:
        for other, allowed in unmet(name, values).items():
            raise ValueError(
                f"--{name}={typed[name]} does nothing with --{other}={values[other]}; leave it out, or give "
                f"--{other}={in_words(allowed, ' or ')}"
            )


def _with_batch(kind, values, typed):
    """The settings of a method that follow its batch, in proportion to the batch size that was typed.

    Args:
        kind: settings of the method.
        values: what all settings come out as but for the typed ones.
        typed: as in `resolve`.
    """
    usual = values["batch_size"]
    batch = typed.get("batch_size", usual)
    return {name: values[name] * batch // usual for name in getattr(kind, "WITH_BATCH", ())}


def _recipe(method, name):
    """What a recipe says of a method.

    Raises:
        ValueError: the method has no such recipe.
    """
    if name not in recipes(method):
        those = ", ".join(other for other in METHODS if name in recipes(other))
        raise ValueError(
            f"--recipe={name}: --method={method} has no such recipe, and would be trained as without it; "
            f"leave it out, or choose one of {those}"
        )
    return recipes(method)[name]


def _stream(method, typed):
    """The stems of a fine-tuning method, so that its config.json says what was built."""
    own = stream(method)
    if typed.get("stream", own) != own:
        raise ValueError(f"--stream={typed['stream']}: --method={method} has --stream={own}; leave it out")
    return own


def _by_rule(recipe, values):
    """A recipe's settings with its rules turned into numbers."""
    found = dict(recipe)
    images = 2 * values["batch_size"]
    if "base_learning_rate" in found:
        found["learning_rate"] = found.pop("base_learning_rate") * images / 256
    if "warmup_share" in found:
        found["warmup_epochs"] = found.pop("warmup_share") * values["epochs"]
    if "milestone_shares" in found:
        epochs = [max(1, round(share * values["epochs"])) for share in found.pop("milestone_shares")]
        found["lr_milestones"] = ",".join(map(str, dict.fromkeys(epochs)))
    return found
