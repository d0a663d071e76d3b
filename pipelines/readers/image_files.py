"""What counts as an image on disk, and how a directory is listed; the readers share it."""

import os

# What `mmgl_tf.pipelines.decode` understands, compared in lower case.
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")


def require_tree(root: str, wanted: tuple[str, ...], tree: str, dataset: str) -> None:
    """Checks that a data set is where the user says.

    Args:
        root: the directory given by --data_dir.
        wanted: entries, relative to `root`, that must exist.
        tree: the expected directory tree, to show when they do not.
        dataset: name of the data set, to show.

    Raises:
        FileNotFoundError: `root` is empty, missing or no directory, or misses some of `wanted`; says
            which, what `root` holds instead, and what tree is expected.
    """
    if not root:
        found = "no directory was given"
    elif not os.path.isdir(root):
        found = f"{root} is {'a file' if os.path.exists(root) else 'missing'}"
    else:
        missing = [entry for entry in wanted if not os.path.exists(os.path.join(root, entry))]
        if not missing:
            return
        entries = visible_entries(root)
        shown = ", ".join(entries[:8]) + (f" and {len(entries) - 8} more" if len(entries) > 8 else "")
        found = f"{root} holds {shown or 'nothing'}; missing: {', '.join(missing)}"
    raise FileNotFoundError(
        f"Cannot read data set {dataset}: {found}.\nExpected:\n{tree}\nGive its root with --data_dir=DIR."
    )


def visible_entries(directory: str) -> list[str]:
    """Names in a directory, sorted, hidden ones (leading dot) left out; empty if it does not exist."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_image(name: str) -> bool:
    """Whether a file name ends in one of IMAGE_EXTENSIONS, in any case."""
    return os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


def image_files(directory: str) -> list[str]:
    """Names of the image files directly in a directory, sorted; other files are ignored."""
    return [name for name in visible_entries(directory) if is_image(name)]


def image_files_below(directory: str) -> list[str]:
    """Paths, relative to `directory`, of the image files at any depth, sorted; links are followed."""
    found, seen = [], set()
    for parent, directories, names in os.walk(directory, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link that leads back up would never end
            directories.clear()
            continue
        seen.add(real)
        directories[:] = [name for name in directories if not name.startswith(".")]
        relative = os.path.relpath(parent, directory)
        found += [
            os.path.normpath(os.path.join(relative, name))
            for name in names
            if is_image(name) and not name.startswith(".")
        ]
    return sorted(found)
