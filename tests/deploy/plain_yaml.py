"""The part of YAML that deploy/cluster.yaml is written in; anything else is an error, not a guess.

By hand, as nothing that this repository needs brings a YAML reader along.
"""

import json
import re


def documents(text):
    """The documents of a file: mappings, lists, texts, whole numbers, [1, 2] and >- blocks.

    Args:
        text: str.

    Returns:
        list of what each holds.

    Raises:
        ValueError: a line is none of these.
    """
    return [_document(part) for part in re.split(r"^---$", text, flags=re.MULTILINE)]


def _document(text):
    lines = [re.sub(r"(^|\s+)#.*", "", line) for line in text.splitlines()]
    if any('"' in line and "#" in line for line in text.splitlines()):
        raise ValueError("a line with quotes and a comment cannot be told apart here")
    rows = [(len(line) - len(line.lstrip()), line.strip()) for line in lines if line.strip()]
    found = _block(rows, rows[0][0])
    if rows:
        raise ValueError(f"{rows[0]} fits nowhere")
    return found


def _block(rows, indent):
    """Takes the rows of one mapping or list off the front."""
    if rows[0][1].startswith("- "):
        items = []
        while rows and rows[0][0] == indent and rows[0][1].startswith("- "):
            rest = rows[0][1][2:]
            if re.match(r"[\w.-]+:( |$)", rest):  # a mapping that begins beside its dash
                rows[0] = (indent + 2, rest)
                items.append(_block(rows, indent + 2))
            else:
                rows.pop(0)
                items.append(_scalar(rest))
        return items
    mapping = {}
    while rows and rows[0][0] == indent and not rows[0][1].startswith("- "):
        match = re.fullmatch(r"([\w./-]+):(?: (.*))?", rows.pop(0)[1])
        if not match or match[1] in mapping:
            raise ValueError(f"{match and match[1]} is no key, or is there twice")
        key, rest = match.groups()
        if rest == ">-":
            folded = []
            while rows and rows[0][0] > indent:
                folded.append(rows.pop(0)[1])
            mapping[key] = " ".join(folded)
        elif rest:
            mapping[key] = _scalar(rest)
        elif rows and rows[0][0] > indent:
            mapping[key] = _block(rows, rows[0][0])
        else:
            raise ValueError(f"{key} has no value")
    return mapping


def _scalar(text):
    if text[0] in "[-0123456789" and not text.startswith("--"):
        return json.loads(text)
    if text[0] in "{\"'&*!|>%@`":
        raise ValueError(f"{text} is more of YAML than is read here")
    return {"true": True, "false": False}.get(text, text)
