"""Images cut into tiles in another order, and the number of that order as target: the jigsaw task."""

import numpy as np

from mmgl_tf.pipelines.augmentation.tiles import cut_tiles, normalised_tile, plan_tiles, tile_cells, tile_size
from mmgl_tf.pipelines.layouts.layout import TargetSpec, WholeLayout
from mmgl_tf.pipelines.random_plan import Stream

_STREAMS = (Stream.VISIBLE_TILES, Stream.INFRARED_TILES)


class TileLayout(WholeLayout):
    """Cuts tiles and normalises each by itself; see `WholeLayout` and `recipe.TileOrder`.

    Raises:
        ValueError: see `tile_cells`.
    """

    keeps_places = False

    def __init__(self, description, size):
        self._cells = tile_cells(description, size)
        self._description = description
        self._permutations = np.array(description.permutations, np.int64)
        tiles = description.rows * description.columns
        self.row_shape = (tiles, *tile_size(description, size), 3)
        self.targets = {description.name: TargetSpec((), np.int32)}

    def plan(self, draws, targets):
        """{modality: places of the tiles int64 [n, tiles, 2], in the order they are shown}."""
        tiles = self.row_shape[0]
        first = min(draws)
        found, chosen = {}, None
        for modality, numbers in draws.items():
            stream = Stream.EVALUATION_TILES if numbers.held_out else _STREAMS[modality]
            # The order first, so that it is the same whatever the number of tiles.
            uniforms = numbers.uniforms(stream, 1 + 2 * tiles)
            if chosen is None or modality == first or not self._description.shared:
                chosen = (uniforms[:, 0] * len(self._permutations)).astype(np.int64)
            places = plan_tiles(uniforms[:, 1:], self._cells, self.row_shape[1:3])
            shown = self._permutations[chosen]
            found[modality] = np.take_along_axis(places, shown[:, :, None], axis=1)
            targets[self._description.name][modality][:] = chosen
        return found

    def write(self, pixels, plan, row, out, targets, memory):
        """Cuts an image's tiles, each normalised, into its row."""
        for tile, slot in zip(cut_tiles(pixels, plan[row], self.row_shape[1:3]), out, strict=True):
            normalised_tile(tile, slot)
