"""A map of embeddings by t-SNE: who lies near whom, and whether the modalities mix (Figures 3 and 4)."""

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from mmgl_tf.retrieval.geometry import geometry
from mmgl_tf.visualization.grid import font, wrap

MARKERS = {"visible": "o", "infrared": "^"}
NAMED = 20  # identities that the legend names; more cannot be told apart by colour anyway


def tsne_positions(embeddings, *, perplexity=30.0, seed=0):
    """Places in the plane whose neighbours are the embeddings' neighbours by cosine similarity.

    One thread does the sums: with several, their order and so the picture would depend on the machine's load.
    Starts from the two main directions instead of noise, so that different seeds give similar maps.

    Args:
        embeddings: float [M, D]; scaled to unit length first.
        perplexity: about how many neighbours an image is to keep; at most (M - 1) / 3 are used.
        seed: of what is drawn.

    Returns:
        float32 [M, 2]; unit and axes mean nothing. About 3 s for 1,000 images on one core.

    Raises:
        ValueError: fewer than two embeddings, or one that is not finite.
    """
    vectors = np.asarray(embeddings, np.float64)
    if vectors.ndim != 2 or len(vectors) < 2 or not np.isfinite(vectors).all():
        raise ValueError(
            f"Got embeddings of shape {vectors.shape}, {np.count_nonzero(~np.isfinite(vectors))} numbers of "
            "them not finite; expected finite [M, D] with at least two images."
        )
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    mapping = TSNE(
        metric="cosine",
        perplexity=min(perplexity, max(1.0, (len(vectors) - 1) / 3)),
        init=_start(vectors, seed),
        random_state=seed,
    )
    with threadpool_limits(1):
        return mapping.fit_transform(vectors)


def _start(vectors, seed):
    """The two main directions, tiny as t-SNE wants it, with a trace of noise that parts equal vectors."""
    centred = vectors - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(vectors), 2))
    places[:, : left.shape[1]] = (left * singular)[:, :2]
    # A singular vector's sign is arbitrary: its largest entry shall be positive.
    places *= np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0.0, -1.0, 1.0)
    noise = np.random.Generator(np.random.Philox(key=[seed, 1])).normal(size=places.shape)
    return (1e-4 * places / max(places[:, 0].std(), 1e-12) + 1e-6 * noise).astype(np.float32)


def embedding_map(
    panels, visible_identities, infrared_identities, *, split, selection, seed=0, perplexity=30.0
):
    """Draw the same images as one or several networks embed them, side by side.

    Colour is the person, the marker is the modality. Where a modality gap is left, a person's circles and
    triangles lie apart; where people are told apart, colours do not mix.

    Args:
        panels: dict from a title ("random initialisation", "MMGL before fine-tuning") to a pair (visible
            float [n, D], infrared float [m, D]); D may differ between panels, the images may not.
        visible_identities: int [n].
        infrared_identities: int [m].
        split: where the images come from, e.g. "test people of the drawn world".
        selection: how they were chosen, e.g. `selection.random_choice`'s sentence.
        seed: of t-SNE.
        perplexity: see `tsne_positions`.

    Returns:
        uint8 [H', W', 3], at most 1600 pixels wide.

    Raises:
        ValueError: no panel, or embeddings that do not belong to the identities.
    """
    if not panels:
        raise ValueError(
            "Got no panel; expected {title: (visible [n, D], infrared [m, D])} with at least one."
        )
    identities = np.concatenate([visible_identities, infrared_identities])
    people, person = np.unique(identities, return_inverse=True)
    figures = {
        title: geometry(*pair, visible_identities, infrared_identities) for title, pair in panels.items()
    }
    # Even numbers are pairs of before and after: a row each.
    columns = 2 if len(panels) % 2 == 0 else min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    width = 8.0 if columns == 1 else 16.0
    side = (width - 0.3 * (columns + 1)) / columns
    notes = (
        f"{split[:1].upper()}{split[1:]}: {selection}; {len(visible_identities)} visible and "
        f"{len(infrared_identities)} infrared images.",
        f"t-SNE of cosine distances, perplexity {perplexity:g}, seed {seed}: it keeps neighbours, not "
        "distances or sizes of groups. The figures below a map are computed on the embeddings themselves: "
        "compactness is the distance to the own person's centre over that between people's centres, d' how "
        "many standard deviations the similarities of the same person lie above those of others.",
    )
    # 10.5 points are 14.6 pixels at 100 dots per inch.
    lines = [line for note in notes for line in wrap(note, 100 * (width - 0.6), font(15))]
    top = 0.62 + 0.24 * len(lines)
    below, bottom = 0.85, 0.6 if len(people) <= NAMED else 0.35
    height = top + rows * (side + below) + bottom
    figure = Figure(figsize=(width, height), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.text(
        0.3 / width,
        1 - 0.34 / height,
        "Embeddings: colour is the person, shape the modality",
        fontsize=15,
        weight="bold",
        va="center",
    )
    for number, line in enumerate(lines):
        y = 1 - (0.68 + 0.24 * number) / height
        figure.text(0.3 / width, y, line, fontsize=10.5, color="#555555", va="center")
    for number, (title, (visible, infrared)) in enumerate(panels.items()):
        row, column = divmod(number, columns)
        x = 0.3 + column * (side + 0.3)
        y = height - top - row * (side + below) - side
        axes = figure.add_axes((x / width, y / height, side / width, (side - 0.3) / height))
        places = tsne_positions(np.concatenate([visible, infrared]), perplexity=perplexity, seed=seed)
        _scatter(axes, places, person, len(visible), _colours(len(people)))
        axes.set_title(title, fontsize=12.5, pad=6)
        axes.set_xlabel(_below(figures[title]), fontsize=11, labelpad=7, linespacing=1.5)
    _legend(figure, people, height)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def _below(figures):
    """The numbers below a map, in two lines; "-" where there is none."""
    # Adding zero turns the "-0.00" of a tiny negative number into "0.00".
    text = {
        name: "-" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}" for name, value in figures.items()
    }
    return (
        f"modality gap {text['modality_gap']},  compactness {text['compactness']},  d' {text['d_prime']}\n"
        f"cosine across modalities: same person {text['positive_similarity']}, "
        f"others {text['negative_similarity']}"
    )


def _colours(count):
    """One RGBA colour a person: a hand-made palette while it lasts, then hues around the circle."""
    if count <= 10:
        return colormaps["tab10"](np.arange(count))
    if count <= 20:
        return colormaps["tab20"](np.arange(count))
    return colormaps["hsv"](np.arange(count) / count) * (0.85, 0.85, 0.85, 1.0)


def _scatter(axes, places, person, count, colours):
    """Points of both modalities, mixed in drawing order, so that neither hides the other."""
    size = float(np.clip(16000 / len(places), 12, 70))
    halves = {"visible": slice(0, count), "infrared": slice(count, None)}
    for layer in range(8):  # drawn in eight turns instead of one scatter a point
        for name, half in halves.items():
            chosen = np.arange(len(places))[half][layer::8]
            axes.scatter(
                *places[chosen].T,
                s=size,
                c=colours[person[chosen]],
                marker=MARKERS[name],
                edgecolors="#222222" if name == "infrared" else "white",
                linewidths=0.6,
            )
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    reach = max(np.ptp(places, axis=0).max() * 0.54, 1e-6)
    axes.set_xlim(middle[0] - reach, middle[0] + reach)
    axes.set_ylim(middle[1] - reach, middle[1] + reach)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#bbbbbb")


def _legend(figure, people, height):
    """Markers, and colours where they are few enough to be told apart."""
    empty = {"linestyle": "none", "markersize": 8}
    handles = [
        Line2D([], [], marker=mark, color="#888888", label=name, **empty) for name, mark in MARKERS.items()
    ]
    if len(people) <= NAMED:
        handles += [
            Line2D([], [], marker="s", color=colour, label=f"person {identity}", **empty)
            for identity, colour in zip(people, _colours(len(people)), strict=True)
        ]
    columns = math.ceil(len(handles) / 2) if len(handles) > 8 else len(handles)
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.06 / height),
        ncols=columns,
        fontsize=9.5,
        frameon=False,
        handletextpad=0.1,
        columnspacing=1.0,
    )
