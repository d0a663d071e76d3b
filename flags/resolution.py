"""What a run's settings come out as: defaults, then preset, method, recipe, and what was typed over them.

A recipe may state three things by rule rather than by number, as its authors do:

- `base_learning_rate`: learning rate at 256 images a step; the run's is that times images / 256;
- `warmup_share`, `milestone_shares`: of the run's epochs.
"""

from mmgl_tf.flags.config import OF_METHODS, defaults, settings, unread
from mmgl_tf.flags.methods import DEFAULTS, METHODS, methods_of, stream
from mmgl_tf.flags.presets import preset


def resolve(mode, typed):
    """All that a training of `mode` is told by presets, method, recipe and the command line.

    Args:
        mode: value of --mode; of a mode that trains nothing the preset alone counts.
        typed: {setting: value} of the flags that were given.

    Returns:
        {setting: value}; what is not in it keeps its default.

    Raises:
        ValueError: the method is of the other kind of training, or a flag is of another method.
    """
    name = typed.get("preset", defaults()["preset"])
    found = dict(preset(name, mode))
    if mode in DEFAULTS:
        method = typed.get("method") or found.get("method") or DEFAULTS[mode]
        require_method(mode, method)
        _refuse_foreign(mode, method, typed)
        kind = METHODS[method]
        found |= getattr(kind, "PRESETS", {}).get(name, {})
        recipe = getattr(kind, "RECIPES", {}).get(typed.get("recipe", defaults()["recipe"]), {})
        found |= _by_rule(recipe, defaults() | found | typed)
        found["method"] = method
        if mode == "finetune":
            found["stream"] = _stream(method, typed)
    return found | {key: value for key, value in typed.items() if key != "method" or mode not in DEFAULTS}


def require_method(mode, method):
    """Refuse a method that a mode cannot train.

    Raises:
        ValueError: it is unknown, or of the other kind of training.
    """
    if method in methods_of(mode):
        return
    other = next((other for other in DEFAULTS if other != mode and method in methods_of(other)), None)
    why = f"it is a method of --mode={other}" if other else "there is no such method"
    raise ValueError(f"--mode={mode} --method={method}: {why}; expected one of {', '.join(methods_of(mode))}")


def _refuse_foreign(mode, method, typed):
    """Refuse a flag that only other methods read: it would do nothing."""
    left_out = unread(mode, method) & set(OF_METHODS)
    foreign = {entry.name: group for group, entry in settings() if group in left_out}
    for name in typed:
        if name in foreign:
            group = foreign[name]
            whose = [other for other in METHODS if group in (other, *getattr(METHODS[other], "READS", ()))]
            raise ValueError(
                f"--{name} is a setting of {', '.join(whose)}; --method={method} does not read it. Leave it "
                f"out, or choose its method (`python main.py --method={method} --helpshort` lists what "
                f"{method} reads)"
            )


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
