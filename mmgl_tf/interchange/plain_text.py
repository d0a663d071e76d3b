"""A file's own words, safe to print: names are chosen by whoever wrote the file."""

LONGEST = 200


def plain(text):
    """The text if it is plain ASCII without control characters; else with escapes, as `ascii` writes them.

    A terminal obeys control characters, and not every one can show every letter. Long text is cut.
    """
    if len(text) > LONGEST:
        return f"{plain(text[:LONGEST])}... ({len(text)} characters)"
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
