"""Fills one of our networks from a checkpoint: every tensor, or none and an error.

The field's own code loads what happens to fit and goes on with random numbers for the rest (spec P2).
"""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.interchange.networks.torch_names import from_torch, require_shape
from mmgl_tf.interchange.plain_text import plain

KINDS = ("counters", "unused copies", "unused layers", "heads", "unknown")
SHOWN = 8


@dataclass(frozen=True)
class Filled:
    """What became of a checkpoint's tensors.

    Attributes:
        matched: {tensor name: path of the variable, or variables, that it filled}.
        unexpected: {why: tensor names} of those that were left: "counters" of training batches, "unused
            copies" (the field's two-stream networks hold three whole ResNets and use a stem or a trunk of
            each), "unused layers" that the reference never calls, "heads" of training, anything else as
            "unknown".
        notes: sentences on whatever is not a plain copy.
    """

    matched: dict
    unexpected: dict
    notes: tuple

    def lines(self):
        """Sentences to print."""
        left = sum(map(len, self.unexpected.values()))
        lines = [f"{len(self.matched)} tensors matched, 0 missing, {left} unexpected"]
        for why, names in self.unexpected.items():
            lines.append(f"{len(names)} {why}: {_shown(names, 3)}")
        return lines + list(self.notes)


def fill(found, tensors, encoder, embedder=None):
    """Gives a network the values of a checkpoint.

    Args:
        found: `mmgl_tf.interchange.networks.network.Network`.
        tensors: {name: `StoredTensor`}.
        encoder: built `Encoder` of that backbone.
        embedder: the built `Embedder` around it, where the checkpoint is a fine-tuned network; else None.

    Returns:
        `Filled`.

    Raises:
        ValueError: a tensor is missing, of another shape or type, not finite, a negative variance, or
            belongs to another architecture. Nothing was changed then.
    """
    pairs = found.pairs(encoder, embedder)
    necks = found.necks(embedder) if embedder is not None else {}
    offsets = {f"{prefix}bias": neck for prefix, neck in necks.items()}
    wanted = list(dict.fromkeys([*(name for name, _ in pairs), *offsets]))
    unexpected = _unexpected(found, [name for name in tensors if name not in wanted])
    _require_all(found, wanted, tensors, unexpected)
    # Before anything is read: many tensors of a hostile file can be views of one large storage.
    for name, variable in [*pairs, *((name, neck.gamma) for name, neck in offsets.items())]:
        _require_fit(name, tensors[name], variable)
    values = {name: _weights(name, tensors[name]) for name in wanted}
    assigned = {id(variable): from_torch(values[name], tuple(variable.shape)) for name, variable in pairs}
    notes = []
    for name, neck in offsets.items():
        notes += _fold_offset(assigned, name, values[name], neck)
    if found.stems == 1 and encoder.stream == "two":
        notes.append("the checkpoint has one stem: both stems are a copy of it")
    matched = {}
    for name, variable in pairs:
        variable.assign(assigned[id(variable)])
        matched.setdefault(name, []).append(variable.path)
    matched |= {name: [neck.moving_mean.path] for name, neck in offsets.items()}
    return Filled(matched, unexpected, (*notes, *found.notes()))


def _unexpected(found, names):
    """{why: names}, empty kinds left out."""
    kinds = {kind: [] for kind in KINDS}
    for name in names:
        counter = name.endswith(".num_batches_tracked")
        kinds["counters" if counter else found.kind(name)].append(name)
    return {why: found for why, found in kinds.items() if found}


def _require_all(found, wanted, tensors, unexpected):
    missing = [name for name in wanted if name not in tensors]
    foreign = [name for name in unexpected.get("unknown", []) if found.is_foreign(name)]
    if not missing and not foreign:
        return
    reasons = []
    if missing:
        reasons.append(f"{len(missing)} missing: {_shown(missing)}")
    if foreign:
        reasons.append(f"{len(foreign)} of another architecture: {_shown(foreign)}")
    raise ValueError(
        f"looks like {found.name}, but {len(wanted) - len(missing)} of {len(wanted)} tensors match, "
        + "; ".join(reasons)
    )


def _require_fit(name, tensor, variable):
    try:
        require_shape(tensor.shape, tuple(variable.shape))
    except ValueError as error:
        raise ValueError(f"does not fit: {plain(name)} {error}") from error


def _weights(name, tensor):
    try:
        value = tensor.weights()
    except ValueError as error:
        raise ValueError(f"cannot be used: {plain(name)} {error}") from error
    if name.endswith(".running_var") and (value < 0).any():
        raise ValueError(
            f"cannot be used: {plain(name)} has {np.count_nonzero(value < 0)} of {value.size} variances "
            "below 0; the file is damaged or its training went wrong"
        )
    return value


def _fold_offset(assigned, name, offset, neck):
    """Moves a neck's offset into its mean, since ours has none; returns sentences on it.

    The field freezes it at 0. Elsewhere gamma (x - m) / s + beta = gamma (x - (m - beta s / gamma)) / s.
    """
    gamma, variance = assigned[id(neck.gamma)], assigned[id(neck.moving_variance)]
    if not offset.any():
        return []
    scale = f"{plain(name.removesuffix('bias'))}weight"
    if (gamma[offset != 0] == 0).any():
        raise ValueError(f"cannot be used: {plain(name)} is not 0 where {scale} is 0")
    shift = np.zeros_like(offset)
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(offset * np.sqrt(variance + neck.epsilon), gamma, out=shift, where=offset != 0)
        mean = assigned[id(neck.moving_mean)] - shift
    if not np.isfinite(mean).all():
        raise ValueError(f"cannot be used: {plain(name)} is too large for {scale}, which is next to 0 there")
    assigned[id(neck.moving_mean)] = mean
    return [
        f"the neck has an offset, {plain(name)}, which ours has not: it is part of the neck's moving mean, "
        "the same function"
    ]


def _shown(names, count=SHOWN):
    return ", ".join(map(plain, names[:count])) + (
        f", and {len(names) - count} more" if len(names) > count else ""
    )
