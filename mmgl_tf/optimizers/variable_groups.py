"""PyTorch's parameter groups by name: which setting a variable has follows from how its path begins."""


def by_prefix(settings, paths, otherwise, what):
    """The setting of every variable: that of the longest prefix that its path begins with.

    Args:
        settings: {how a path begins: value}; "" fits all.
        paths: of the variables, such as "encoder/layer1/kernel".
        otherwise: value of a variable that no prefix fits.
        what: what the settings are, for the error message, such as "TorchSGD got multipliers".

    Returns:
        list, a value for each path.

    Raises:
        ValueError: a prefix fits no path; a misspelt one would silently change nothing.
    """
    idle = [prefix for prefix in settings if not any(path.startswith(prefix) for path in paths)]
    if idle:
        layers = sorted({path.rpartition("/")[0] or path for path in paths})
        shown = ", ".join(layers[:12]) + (f" and {len(layers) - 12} more" if len(layers) > 12 else "")
        raise ValueError(
            f"{what} for {', '.join(map(repr, idle))}, which no variable's path begins with; expected "
            f"beginnings of {shown}. Print variable.path to see the names."
        )
    longest_first = sorted(settings, key=len, reverse=True)
    return [
        next((settings[prefix] for prefix in longest_first if path.startswith(prefix)), otherwise)
        for path in paths
    ]
