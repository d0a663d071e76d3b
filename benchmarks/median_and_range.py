"""How a repeated measurement is shown: its median, and the range that it was in."""

import statistics


def median_and_range(values, form="{:.2f}"):
    """Text "median [smallest, largest]".

    Args:
        values: numbers, at least one.
        form: format of each of the three.
    """
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} [{form.format(low)}, {form.format(high)}]"
