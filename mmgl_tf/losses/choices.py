"""A loss's options by name, and the error where a name is none of them."""


def require_choice(function, name, value, choices):
    """Refuses an option of another name.

    Args:
        function: name of the function that was called, for the message.
        name: of its argument.
        value: what it got.
        choices: names that it knows.

    Raises:
        ValueError: `value` is none of them.
    """
    if value not in choices:
        raise ValueError(f"{function} got {name}={value!r}; expected one of {', '.join(choices)}.")
