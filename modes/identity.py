"""What a run is: its method and the settings of that method, never its mode alone."""

from mmgl_tf.flags.config import defaults, settings, to_flat
from mmgl_tf.flags.methods import FINETUNING, METHODS, groups_read, title

# Pre-training methods that are told who is who.
WITH_IDENTITIES = ("supervised",)


def departures(saved):
    """Settings of the run's method that are not the paper's (or, where it is silent, our) choice.

    Args:
        saved: flat configuration of a run, from config.json.

    Returns:
        {setting: value}, empty for the method as published.
    """
    method = saved.get("method")
    if method not in METHODS:
        return {}
    plain = defaults()
    own = [entry.name for group, entry in settings() if group in groups_read(method)]
    return {name: saved[name] for name in own if name in saved and saved[name] != plain[name]}


def described(saved):
    """A run's method in words: "MMGL (pcc=False), no identities".

    Args:
        saved: flat configuration of a run.
    """
    method = saved.get("method")
    titled_by = getattr(METHODS.get(method), "TITLED_BY", None)
    changed = ", ".join(f"{name}={value}" for name, value in departures(saved).items() if name != titled_by)
    recipe = saved.get("recipe", "common")
    about = ", ".join(part for part in (changed, "" if recipe == "common" else f"recipe {recipe}") if part)
    words = title(method, saved) + (f" ({about})" if about else "")
    return words if method in FINETUNING or method in WITH_IDENTITIES else f"{words}, no identities"


def built_in(config):
    """Values of the method's settings that are built into the weights, in their order.

    Args:
        config: `mmgl_tf.flags.config.Config`.
    """
    flat = to_flat(config)
    return [flat[name] for name in getattr(METHODS.get(config.run.method), "FIXED", ())]
