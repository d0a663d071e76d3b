"""Cutting an image into a grid of cells and a tile out of each, at a random place (Noroozi & Favaro 2016)."""

from collections.abc import Iterator

import cv2
import numpy as np

from mmgl_tf.pipelines.augmentation.operation import Size


def tile_cells(order, size: Size) -> np.ndarray:
    """Where the cells of an image begin, column by column.

    Args:
        order: `mmgl_tf.pipelines.batches.recipe.TileOrder`.
        size: (H, W) of the image.

    Returns:
        int64 [tiles, 4]: top, left, height and width of each cell.

    Raises:
        ValueError: the grid does not divide the image, the share is none, or an order is none of the tiles.
    """
    if size[0] % order.rows or size[1] % order.columns:
        raise ValueError(
            f"A grid of {order.rows} x {order.columns} cells does not divide an image of {size[0]} x "
            f"{size[1]} pixels; expected multiples of them. Change --image_height and --image_width."
        )
    height, width = size[0] // order.rows, size[1] // order.columns
    if not 0.0 < order.share <= 1.0 or min(tile_size(order, size)) < 1:
        raise ValueError(
            f"Tiles of {order.share} of a cell's height and width, cells having {height} x {width} pixels: "
            "expected a share in (0, 1] that leaves a pixel at least."
        )
    tiles = order.rows * order.columns
    if not order.permutations or any(sorted(one) != list(range(tiles)) for one in order.permutations):
        raise ValueError(
            f"Every order must be a permutation of 0 to {tiles - 1}, and there must be one at least."
        )
    return np.array(
        [
            (row * height, column * width, height, width)
            for column in range(order.columns)
            for row in range(order.rows)
        ]
    )


def tile_size(order, size: Size) -> Size:
    """Rows and columns of a tile.

    Args:
        order: `mmgl_tf.pipelines.batches.recipe.TileOrder`.
        size: (H, W) of the image, which the grid divides.
    """
    cell = size[0] // order.rows, size[1] // order.columns
    # A share such as 0.9 is a little less than it says: 0.9 of 10 pixels must be 9.
    return int(order.share * cell[0] + 1e-9), int(order.share * cell[1] + 1e-9)


def plan_tiles(draws: np.ndarray, cells: np.ndarray, tile: Size) -> np.ndarray:
    """Turns uniform numbers into the places of tiles, uniform over those that lie within their cells.

    Args:
        draws: float64 [n, 2 * tiles] in (0, 1).
        cells: of `tile_cells`, [tiles, 4].
        tile: rows and columns of a tile.

    Returns:
        int64 [n, tiles, 2]: top and left of each tile in the image.
    """
    room = cells[:, 2:] - np.array(tile) + 1
    return cells[:, :2] + (draws.reshape(len(draws), len(cells), 2) * room).astype(np.int64)


def cut_tiles(image: np.ndarray, places: np.ndarray, tile: Size) -> Iterator[np.ndarray]:
    """The tiles of an image.

    Args:
        image: [H, W, C].
        places: integers [tiles, 2], top and left.
        tile: rows and columns of a tile.

    Yields:
        Views [h, w, C] of the image.
    """
    for top, left in places.tolist():
        yield image[top : top + tile[0], left : left + tile[1]]


def normalised_tile(tile: np.ndarray, out: np.ndarray) -> None:
    """Normalises a tile by its own mean and deviation, each channel by itself.

    So no tile can be told by its brightness or contrast. A deviation below one grey level counts as one:
    flat tiles become 0 instead of enlarged rounding.

    Args:
        tile: uint8 or float32 [h, w, C] in 0..255, C = 1 or 3.
        out: float32 [h, w, 3], contiguous; receives (tile - mean) / max(deviation, 1).
    """
    mean, deviation = (part.ravel() for part in cv2.meanStdDev(tile))
    scale = 1.0 / np.maximum(deviation, 1.0)
    shift = -mean * scale
    height, columns, channels = tile.shape
    rows = out.reshape(height, -1) if channels == 3 else np.empty((height, columns), np.float32)
    # A whole row at a time: NumPy is several times slower when its inner loop has three elements.
    np.multiply(tile.reshape(height, -1), np.tile(scale.astype(np.float32), columns), out=rows)
    rows += np.tile(shift.astype(np.float32), columns)
    if channels == 1:
        cv2.cvtColor(rows, cv2.COLOR_GRAY2RGB, dst=out)
