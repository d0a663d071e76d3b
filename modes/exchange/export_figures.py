"""How well the network that is exported finds people: the run's data set and its protocol."""

from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.modes.evaluation.evaluation_rules import evaluation_rules
from mmgl_tf.modes.evaluation.result_table import protocol_lines
from mmgl_tf.modes.evaluation.results import about, cell
from mmgl_tf.modes.features import Extractor
from mmgl_tf.modes.reading import open_stores, require_labels
from mmgl_tf.retrieval.protocols import evaluate_settings
from mmgl_tf.serving.inference_network import InferenceNetwork
from mmgl_tf.serving.model_card import FIGURES, searched


def figures_of(config, splits, embedder, feature, which):
    """Evaluate the folded network; in float32 too where it is exported in another precision.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
        embedder: `PooledEncoder`, e.g. a fine-tuning's `Embedder`.
        feature: one of the embedder's `FEATURES`.
        which: "best" or "last", the embedder's weights.

    Returns:
        (the protocol's sentences, cells as in results.json, each with its "precision").

    Raises:
        ValueError: nobody can be looked for, or images are unreadable.
    """
    require_labels(splits)
    stores = open_stores(config.data, splits, ("query", "gallery"))
    protocol, rules = evaluation_rules(config, splits)
    results = about(config, splits, protocol)
    cells = []
    for precision in dict.fromkeys(("float32", config.export.export_precision)):
        network = InferenceNetwork(embedder, feature, precision)
        extract = Extractor(network, config.optimization.batch_size)
        sides = []
        for split in (splits.query, splits.gallery):
            modality = split.samples[0].modality
            with ProgressLine(f"{split.name} embedded, {precision}", "images") as progress:
                store = stores[split.name, modality]
                sides.append(extract(store, split.samples, modality, progress)[feature])
        for result in evaluate_settings(*sides, protocol, **rules):
            cells.append(cell(result, results, feature, which, False) | {"precision": precision})
    return protocol_lines(results | {"cells": cells}), cells


def print_figures(protocol, cells):
    """Print what `figures_of` found."""
    print("\n".join(protocol))
    print(f"\n{'search':46}{'precision':11}" + "".join(f"{title:>9}" for title in FIGURES.values()))
    for found in sorted(cells, key=searched):
        values = "".join(f"{100 * found[name]['mean']:>9.2f}" for name in FIGURES)
        print(f"{searched(found):46}{found['precision']:11}{values}")
    print(flush=True)
