"""Pictures of jigsaw puzzles: tiles as the network sees them, and in the order that it recognises."""

import numpy as np

from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.visualization.tile_boards import Layout, tile_boards

SHOWN = 4  # images of each modality


def batch_pictures(batch, puzzle):
    """{"tiles": uint8 [H, W, 3]} of a training batch.

    Args:
        batch: arrays, as `TilePuzzleModel` has them.
        puzzle: `mmgl_tf.pretraining.tile_puzzles.Puzzle` that it is of.
    """
    tiles, order, captions, _ = _some(batch, puzzle)
    layouts = [_as_seen(order), Layout("put back", np.argsort(order, axis=1))]
    notes = [
        f"The first {SHOWN} visible and infrared images of a batch; {puzzle.described()}. Of each cell "
        "of the grid a tile at a random place is cut, so edges do not run on.",
        "Each tile is normalised by itself: brightness and contrast do not tell where it is from.",
    ]
    return {"tiles": tile_boards(tiles, layouts, captions, title="What is put in order", notes=notes)}


def probe_pictures(found, batch, puzzle, source):
    """{"recovered_tiles": uint8 [H, W, 3]} of a look.

    Args:
        found: what `TilePuzzleModel.probed` returned, as arrays.
        batch, puzzle: as above.
        source: what the images are, e.g. "held-out images".
    """
    tiles, order, captions, chosen = _some(batch, puzzle)
    likeliest = found["scores"].argmax(axis=1)
    recovered = put_back(np.array(puzzle.permutations)[likeliest[chosen]], order)
    layouts = [_as_seen(order), recovered, Layout("true", np.argsort(order, axis=1))]
    whole = likeliest == batch[puzzle.target]
    notes = [
        f"The first {SHOWN} {source} of each modality; {puzzle.described()}. Of all {len(whole)} images the "
        f"order of {whole.sum()} is recognised.",
        "Green: the tile is in its place, red: it is not. Orders are recognised as a whole, among few that "
        "differ in most places; so a wrong one has most tiles wrong.",
    ]
    title = "Order of the tiles: input, recovered, true"
    return {"recovered_tiles": tile_boards(tiles, layouts, captions, title=title, notes=notes)}


def put_back(recognised, order):
    """The board that results when tiles are put where a recognised order has them.

    Args:
        recognised: integers [n, T], slot i is taken to show tile recognised[b, i].
        order: integers [n, T], it does show tile order[b, i].

    Returns:
        `Layout` with frames: a place is right where it shows its own tile.
    """
    slots = np.argsort(recognised, axis=1)
    right = np.take_along_axis(order, slots, axis=1) == np.arange(order.shape[1])
    return Layout("recovered", slots, right)


def _some(batch, puzzle):
    """(tiles, their true orders, captions, rows of the batch) of some images of each modality."""
    tiles, captions, chosen, first = [], [], [], 0
    for modality in MODALITIES:
        own = batch[modality][:SHOWN]
        tiles.append(own)
        captions += [modality] * len(own)
        chosen += range(first, first + len(own))
        first += len(batch[modality])
    order = np.array(puzzle.permutations)[batch[puzzle.target][chosen]]
    return np.concatenate(tiles), order, captions, chosen


def _as_seen(order):
    return Layout("input", np.tile(np.arange(order.shape[1]), (len(order), 1)))
