"""Starting a fine-tuning from pre-trained weights: tensor by tensor, by name, and all of them or none.

The authors' code loads what happens to fit and trains the rest from scratch without a word (spec P2); here a
file that does not fill the trunk is an error that names what is missing.
"""

from dataclasses import dataclass

import h5py
import numpy as np

ANCHOR = "layer1/0/conv1/vars/0"  # a tensor that every trunk has, to find the trunk inside a larger file
STEMS = {"visible": "stem_visible/", "infrared": "stem_infrared/"}


@dataclass(frozen=True)
class Transfer:
    """What a transfer did.

    Attributes:
        matched: names of the encoder's tensors that were filled, in the encoder's order.
        dropped: names of the file's tensors that an encoder has no use for (heads).
        notes: sentences on anything that is not a plain copy, such as one stem for two.
    """

    matched: tuple
    dropped: tuple
    notes: tuple

    def lines(self):
        """Sentences to print."""
        shown = ", ".join(self.dropped[:5]) + (", ..." if len(self.dropped) > 5 else "")
        dropped = f"{len(self.dropped)} dropped" + (f" ({shown})" if self.dropped else "")
        return [f"{len(self.matched)} tensors matched, 0 missing, {dropped}", *self.notes]


def transfer(encoder, path, stem_from=""):
    """Fills every tensor of an encoder, moving statistics too, from a weights file.

    Args:
        encoder: built `mmgl_tf.backbones.Encoder`.
        path: `.weights.h5` of an encoder, or of anything that holds one (an embedder, a whole model).
        stem_from: "visible", "infrared" or "mean": what a one-stream encoder takes of a file with two stems.
            Ignored otherwise.

    Returns:
        `Transfer`.

    Raises:
        ValueError: the file cannot be read, holds no trunk or another network's, or has two stems where one
            is needed and `stem_from` does not choose. Nothing was changed then.
    """
    try:
        with h5py.File(path, "r") as file:
            tensors = _read(file)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read as a weights file ({error}); expected a .weights.h5 that pre-training or "
            "fine-tuning wrote, such as encoder_last.weights.h5"
        ) from error
    prefixes = sorted({name.removesuffix(ANCHOR) for name in tensors if name.endswith(ANCHOR)})
    if len(prefixes) != 1:
        raise ValueError(
            f"{path} holds {len(prefixes)} trunks among its {len(tensors)} tensors; expected one. Give the "
            "encoder_best.weights.h5 or encoder_last.weights.h5 of a run."
        )
    own = {
        name.removeprefix(prefixes[0]): value
        for name, value in tensors.items()
        if name.startswith(prefixes[0])
    }
    targets = tensor_names(encoder)
    sources, notes = _plan(targets, own, stem_from, path)
    missing = [name for name, found in sources.items() if not found]
    wrong = [
        f"{name} {own[found[0]].shape} -> {tuple(targets[name].shape)}"
        for name, found in sources.items()
        if found and own[found[0]].shape != tuple(targets[name].shape)
    ]
    if missing or wrong:
        raise ValueError(
            f"{path} does not fill the {encoder.backbone}, {encoder.stream}-stream encoder: "
            f"{len(targets) - len(missing) - len(wrong)} of {len(targets)} tensors match, "
            f"{len(missing)} missing {missing[:5]}, {len(wrong)} of another shape {wrong[:5]}. "
            "Give the --backbone and the method that the weights were made for."
        )
    used = {source for found in sources.values() for source in found}
    beheaded = [n for n in own if n not in used and n.startswith(("layer", "stem/"))]
    if beheaded:
        raise ValueError(
            f"{path} holds a larger trunk than {encoder.backbone}: {len(beheaded)} of its tensors would be "
            f"left over, such as {beheaded[:3]}. Give the --backbone that the weights were made for."
        )
    for name, found in sources.items():
        targets[name].assign(np.mean([own[source] for source in found], axis=0))
    dropped = set(tensors) - {prefixes[0] + source for source in used}
    return Transfer(tuple(sources), tuple(sorted(dropped)), tuple(notes))


def tensor_names(encoder):
    """The encoder's tensors by the names that they have in a weights file.

    Keras numbers the variables of a layer there: "layer1/0/bn1/vars/3" is a moving variance.

    Returns:
        {name: variable}.
    """
    names, counts = {}, {}
    for variable in encoder.variables:
        layer = variable.path.rpartition("/")[0].removeprefix(f"{encoder.name}/")
        number = counts.get(layer, 0)
        counts[layer] = number + 1
        names[f"{layer}/vars/{number}"] = variable
    return names


def _read(file):
    tensors = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            tensors[name] = item[()]

    file.visititems(visit)
    return tensors


def _plan(targets, own, stem_from, path):
    """{target: its sources, [] where there is none} and notes."""
    one_in_file = any(name.startswith("stem/") for name in own)
    one_in_encoder = any(name.startswith("stem/") for name in targets)
    if one_in_file == one_in_encoder:
        return {name: [name] if name in own else [] for name in targets}, []
    if one_in_file:
        sources = {}
        for name in targets:
            source = name
            for stem in STEMS.values():
                source = source.replace(stem, "stem/", 1) if source.startswith(stem) else source
            sources[name] = [source] if source in own else []
        return sources, ["the file has one stem: both stems start from a copy of it"]
    if stem_from not in (*STEMS, "mean"):
        raise ValueError(
            f"{path} has a stem for each modality and the method has one for both; choose what it starts "
            "from with --stem_from=visible, infrared or mean, or pre-train with --stream=one"
        )
    chosen = [STEMS[stem_from]] if stem_from in STEMS else list(STEMS.values())
    sources = {}
    for name in targets:
        found = [name.replace("stem/", stem, 1) if name.startswith("stem/") else name for stem in chosen]
        found = list(dict.fromkeys(found))
        sources[name] = found if all(source in own for source in found) else []
    return sources, [f"the file has two stems: the one stem starts from --stem_from={stem_from}"]
