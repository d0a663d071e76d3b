"""--mode=search: the most similar gallery images of each query, by the model that embedded the gallery."""

from pathlib import Path

import numpy as np

from mmgl_tf.flags.reading import configs_of, is_saved_model
from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.modes.search.embed_batches import embedded_batches
from mmgl_tf.modes.search.embed_files import list_images
from mmgl_tf.modes.search.embed_source import differing, open_source
from mmgl_tf.modes.search.embedded_files import Embedded, is_embedded, read_embedded
from mmgl_tf.modes.search.search_picture import search_picture
from mmgl_tf.modes.search.search_results import print_table, results_of, write_results
from mmgl_tf.retrieval.nearest import nearest
from mmgl_tf.run_directory import claim_directory
from mmgl_tf.visualization.grid import write_png


def search(config):
    """Search a gallery for the queries that --images names.

    Args:
        config: `mmgl_tf.flags.config.Config`.

    Returns:
        0, the exit status.

    Raises:
        ValueError: no gallery or no queries, or the gallery's model is gone or another one now.
    """
    options = config.lookup
    if not options.gallery:
        raise ValueError("--gallery is missing: give the --workdir of a --mode=embed")
    gallery = read_embedded(options.gallery)
    if options.images and is_embedded(options.images):
        queries, skipped = read_embedded(options.images, "images"), []
        _refuse_other_model(queries, gallery, options)
    else:
        queries, skipped = _embed_queries(config, gallery)
    root = claim_directory(config.run.workdir, "results.json")
    found = nearest(queries.embeddings, gallery.embeddings, options.top_k, options.search_index)
    results = results_of(config, queries, gallery, found, skipped)
    write_results(results, root)
    picture = search_picture(queries, gallery, found, config.evaluation.shown_queries)
    write_png(picture, root / "ranked.png")
    print_table(results)
    print(f"written    {root}: results.json, results.tsv, ranked.png", flush=True)
    return 0


def _refuse_other_model(queries, gallery, options):
    problems = differing(gallery.about["source"], queries.about["source"])
    if problems:
        raise ValueError(
            f"--images={options.images} and --gallery={options.gallery} were embedded by different models, "
            "whose embeddings cannot be compared:\n  "
            + "\n  ".join(problems)
            + "\nEmbed both with one model."
        )


def _embed_queries(config, gallery):
    """The queries, embedded by the gallery's model: (`Embedded`, list of (path, reason) left out)."""
    source = _gallery_source(config, gallery.about["source"])
    files = list_images(config.lookup.images, config.lookup.image_modality, source.two_streams)
    with ProgressLine("queries embedded", "images") as progress:
        batches = embedded_batches(
            source, files, config.optimization.batch_size, config.data.on_bad_image, progress=progress
        )
        positions, embeddings, skipped = zip(*batches, strict=True)
    positions = np.concatenate(positions).tolist()
    skipped = [(files[position].path, reason) for pairs in skipped for position, reason in pairs]
    if not positions:
        raise ValueError(f"none of the {len(files)} queries is readable; {skipped[0][0]!a}: {skipped[0][1]}")
    found = Embedded(
        np.concatenate(embeddings),
        [files[position].path for position in positions],
        np.array([files[position].modality for position in positions], np.int32),
        {"source": source.facts},
    )
    return found, skipped


def _gallery_source(config, facts):
    """The model that about.json names, or --init where it was moved to; refused unless it is the same."""
    named = config.finetuning.init
    path = facts["path"] if named == "random" else named
    advice = (
        "Restore it, say with --init where it was moved to, or embed the gallery anew."
        if named == "random"
        else "Leave --init out to use the model that the gallery names, or embed the gallery anew."
    )
    if not (is_saved_model(path) or (Path(path) / "config.json").is_file()):
        raise ValueError(
            f"--gallery={config.lookup.gallery} was embedded by {facts['path']}; there is no model in {path} "
            f"{'any more' if named == 'random' else ''}. {advice}".replace(" .", ".")
        )
    typed = {"mode": "embed", "init": str(path), "images": config.lookup.images}
    if facts["kind"] == "run":
        for name in ("weights", "feature", "precision"):
            typed[f"export_{name}"] = facts[name]
    (of_source,) = configs_of(typed)
    try:
        source = open_source(of_source)
    except ValueError as error:  # of the feature or the weights that the gallery asks for, not the user
        raise ValueError(
            f"{path} cannot embed as the model of --gallery={config.lookup.gallery} did: {error}\n{advice}"
        ) from error
    problems = differing(facts, source.facts)
    if problems:
        raise ValueError(
            f"{path} is not the model any more that embedded --gallery={config.lookup.gallery}, so their "
            "embeddings cannot be compared:\n  " + "\n  ".join(problems) + f"\n{advice}"
        )
    return source
