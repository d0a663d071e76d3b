"""How finished pixels are laid into a view's tensor: whole, in shuffled stripes or tiles, as lightness.

A layout also makes the target that goes with it. `LAYOUTS` knows which description in a recipe asks for
which layout.
"""

from mmgl_tf.pipelines.batches.recipe import LabColour, Permutation, TileOrder
from mmgl_tf.pipelines.layouts.lightness import LightnessLayout
from mmgl_tf.pipelines.layouts.stripes import StripeLayout
from mmgl_tf.pipelines.layouts.tiles import TileLayout

LAYOUTS = {Permutation: StripeLayout, TileOrder: TileLayout, LabColour: LightnessLayout}
