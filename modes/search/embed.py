"""--mode=embed: any images -> embeddings.npz and embeddings.tsv, by a run's network or an exported model."""

import os
from collections import Counter

import keras
import numpy as np
import tensorflow as tf

from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.modes.search.embed_batches import embedded_batches, refuse_skipped
from mmgl_tf.modes.search.embed_chunks import CHUNK, PLAN, Chunks
from mmgl_tf.modes.search.embed_files import escaped, list_images, modality_name
from mmgl_tf.modes.search.embed_lock import locked_directory
from mmgl_tf.modes.search.embed_source import open_source
from mmgl_tf.modes.search.embedded_files import ARRAYS, TABLE, write_embedded


def embed(config):
    """Embed the images that --images names; the same command goes on where an earlier one stopped.

    Args:
        config: `mmgl_tf.flags.config.Config`, of the run where --init names one.

    Returns:
        0, the exit status.

    Raises:
        ValueError: no images or no model, an unreadable image with --on_bad_image=fail, or a --workdir that
            holds embeddings of something else or is another process's just now.
    """
    source = open_source(config)
    files = list_images(config.lookup.images, config.lookup.image_modality, source.two_streams)
    with locked_directory(config.run.workdir, PLAN) as root:
        return _embed_into(root, config, source, files)


def _embed_into(root, config, source, files):
    """`embed` in a directory that no other process writes into."""
    chunks = Chunks(root, source.facts, files, config.run.force)
    _announce(config, source, files, chunks)
    if chunks.finished:
        print(f"done       already; {root / ARRAYS}")
        return 0
    skipped = [pair for chunk in chunks.read() for pair in chunk.skipped]
    refuse_skipped([(files[position].path, reason) for position, reason in skipped], config.data.on_bad_image)
    try:
        _embed_rest(config, source, files, chunks)
    except KeyboardInterrupt:
        print(f"\nstopped    {chunks.done} of {len(files)} images are embedded; the same command goes on")
        raise
    about = _write(config, source, files, chunks)
    for entry in about["skipped"][:20]:
        print(f"skipped    {escaped(entry['path'])}: {entry['reason']}")
    print(
        f"written    {root / ARRAYS}: {about['num_images']} embeddings of {source.num_features} numbers, "
        f"{len(about['skipped'])} images skipped\n"
        f"           {root / TABLE}: the same as text",
        flush=True,
    )
    return 0


def _announce(config, source, files, chunks):
    facts = source.facts
    told = "told by directories" if config.lookup.image_modality == "auto" else "by --image_modality"
    counts = Counter(modality_name(file.modality) for file in files)
    listed = ", ".join(f"{counts[name]} {name}" for name in sorted(counts, reverse=True))
    words = ("weights", "feature", "precision")
    lines = [
        ("model", f"{facts['path']} ({', '.join(str(facts[word]) for word in words if word in facts)})"),
        ("images", f"{len(files)} in {config.lookup.images}; modality {told}: {listed}"),
    ]
    if not source.two_streams:
        lines.append(("note", "the model has one stem for both modalities, so theirs makes no difference"))
    lines += [("note", note) for note in chunks.notes]
    if 0 < chunks.done < len(files):
        lines.append(("resume", f"from image {chunks.done} of {len(files)}"))
    for name, text in lines:
        print(f"{name:11}{text}", flush=True)


def _embed_rest(config, source, files, chunks):
    """Embed what is not done yet, and write a chunk now and then."""
    gathered = []
    with ProgressLine("embedded", "images") as progress:
        batches = embedded_batches(
            source,
            files,
            config.optimization.batch_size,
            config.data.on_bad_image,
            first=chunks.done,
            progress=progress,
        )
        try:
            for batch in batches:
                gathered.append(batch)
                if sum(len(part.positions) + len(part.skipped) for part in gathered) >= CHUNK:
                    whole, gathered = gathered, []
                    chunks.write(whole)
        finally:  # also what was embedded before an unreadable image or Ctrl-C
            if gathered:
                chunks.write(gathered)


def _write(config, source, files, chunks):
    """The three files; returns the content of about.json."""
    positions = np.concatenate(
        [np.zeros(0, np.int64), *(chunk.positions for chunk in chunks.read())]
    ).tolist()
    skipped = [pair for chunk in chunks.read() for pair in chunk.skipped]
    if not positions:
        reason = f"{files[skipped[0][0]].path!a}: {skipped[0][1]}"
        raise ValueError(
            f"none of the {len(files)} images of --images={config.lookup.images} is readable; {reason}"
        )
    about = {
        "source": source.facts,
        "images": config.lookup.images,
        "working_directory": os.getcwd(),
        "num_images": len(positions),
        "num_features": source.num_features,
        "embedding": "float32, unit length; the similarity of two images is the sum of products, -1 to 1",
        "modality_told_by": config.lookup.image_modality,
        "modalities": dict(sorted(Counter(modality_name(files[p].modality) for p in positions).items())),
        "skipped": [{"path": files[position].path, "reason": reason} for position, reason in skipped],
        "packages": {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__},
    }
    write_embedded(
        chunks.root,
        lambda: (chunk.embeddings for chunk in chunks.read()),
        len(positions),
        source.num_features,
        [files[position].path for position in positions],
        np.array([files[position].modality for position in positions], np.int32),
        about,
    )
    chunks.finish()
    return about
