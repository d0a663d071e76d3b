"""What a method wants of a batch, as data: views of the images, each with its chain, and targets.

A recipe says nothing of how it is carried out; `training_batches` and `held_out_batches` carry out any.
Methods build recipes, so this module and the operations below `augmentation/` are all that they know of
the pipelines.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from mmgl_tf.pipelines.augmentation.operation import Operation
from mmgl_tf.pipelines.augmentation.operations.augmix import AugMix
from mmgl_tf.pipelines.augmentation.operations.erase import Erase
from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import PadCropFlip
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE


@dataclass(frozen=True)
class View:
    """One tensor of a batch: every image of a modality, augmented in one way.

    Attributes:
        name: of the tensor; `view_name` gives the usual ones.
        modality: VISIBLE or INFRARED.
        chain: operations in order, see `augmentation.operation.Operation`.
        height: rows, in pixels; 0 = those of the stored images.
        width: columns, likewise.
        stream: number of its random stream. Views of a modality with different numbers never share a draw;
            0 are the numbers that a single view has always had.
    """

    name: str
    modality: int
    chain: tuple[Operation, ...] = ()
    height: int = 0
    width: int = 0
    stream: int = 0


@dataclass(frozen=True)
class Permutation:
    """The first view of each modality in shuffled stripes; target `permutation`, int32 [2b, N].

    Slot i shows stripe permutation[b, i]. Shuffling comes after all operations on pixels, as a warp of
    shuffled stripes would leak rows across their borders and so reveal the order.

    Attributes:
        num_stripes: N, must divide the view's height.
        shared: whether the images of a pair, visible and infrared, have one order.
    """

    num_stripes: int
    shared: bool = True


@dataclass(frozen=True)
class TileOrder:
    """The first view of each modality cut into tiles [b, tiles, h, w, 3]; the target is int32 [2b].

    The image is cut into a grid of cells, and of each cell a tile at a random place is taken, so that edges
    do not run on from tile to tile. Tiles are numbered column by column; slot i shows tile
    permutations[target[b]][i]. Each tile is normalised by its own mean and deviation.

    Attributes:
        permutations: the orders to choose from, each a permutation of 0 to tiles - 1, such as
            `augmentation.permutation_sets.permutation_set` makes; kept as tuples of integers.
        rows: of the grid; must divide the view's height.
        columns: of the grid; must divide the view's width.
        share: height and width of a tile over those of its cell, in (0, 1]; pixels are rounded down.
        shared: whether the images of a pair have one order (never one place of the tiles).
        name: of the target. A method that lays different puzzles in the course of a run gives each its own,
            so that a batch says by its names which one it is.
    """

    permutations: tuple[tuple[int, ...], ...]
    rows: int
    columns: int
    share: float = 0.875
    shared: bool = False
    name: str = "tile_order"

    def __post_init__(self):
        orders = tuple(tuple(int(tile) for tile in order) for order in self.permutations)
        object.__setattr__(self, "permutations", orders)


@dataclass(frozen=True)
class LabColour:
    """The first visible view as lightness; target `ab`, float32 [b, ceil(H / every), ceil(W / every), 2].

    Attributes:
        every: stride of the target, in pixels along both axes: it is the colour (CIE a and b) of the pixels
            at 0, every, 2 every, ...
    """

    every: int = 4


@dataclass(frozen=True)
class Labels:
    """Target `labels`, int32 [2b]: the class of each image, as the plan of the batches knows it."""


@dataclass(frozen=True)
class Rows:
    """Target `rows`, int32 [2b]: where each image stands in the global batch, of training alone.

    The visible images of a batch have 0 to B - 1, the infrared ones B to 2B - 1; of one modality 0 to B - 1.
    Whatever draws in a network goes by them, so that replicas and parts of a batch draw what the whole does.
    """


Target = Permutation | TileOrder | LabColour | Labels | Rows
# Targets that leave the views as they are.
_BESIDE = (Labels, Rows)


class Sampler(enum.Enum):
    """How labelled batches draw people and their images: P people a batch, K images of each per modality.

    Images without labels are drawn by `plans.image_plan`, and know nothing of it.
    """

    WITH_REPLACEMENT = "people anew for each step, their images with replacement (AGW, DDAG, CAJ)"
    TO_EXHAUSTION = "images without replacement, until fewer than P people have some left (MPANet)"
    ONCE_EACH = "each person once in an epoch (VCD)"


@dataclass(frozen=True)
class Recipe:
    """What a batch consists of.

    Rows of a view are images of its modality, [b, ...]. Targets of images have rows for each modality that is
    shown, the visible ones first: [2b, ...], or [b, ...] if one is shown.

    Attributes:
        views: at least one; the first of a modality is the one that targets are about.
        targets: what else there is to know; at most one of the kinds that lay the first view out.
        sampler: which people and images meet, where the classes are wanted in batches of people.

    Raises:
        ValueError: no view, two views of one name, two views of a modality with one stream, or two targets
            that both lay the first view out.
    """

    views: tuple[View, ...]
    targets: tuple[Target, ...] = ()
    sampler: Sampler = Sampler.WITH_REPLACEMENT

    def __post_init__(self):
        if not self.views:
            raise ValueError("A recipe without views was given; expected at least one.")
        for what, keys in (
            ("name", [view.name for view in self.views]),
            ("stream of its modality", [(view.modality, view.stream) for view in self.views]),
        ):
            twice = next(
                (view for view, key in zip(self.views, keys, strict=True) if keys.count(key) > 1), None
            )
            if twice:
                raise ValueError(f"View {twice.name!r} shares its {what} with another; give each its own.")
        if sum(not isinstance(target, _BESIDE) for target in self.targets) > 1:
            raise ValueError(
                f"{self.targets}: a view is laid out in one way; expected at most one such target."
            )

    @property
    def modalities(self) -> tuple[int, ...]:
        """The modalities shown, ascending."""
        return tuple(sorted({view.modality for view in self.views}))

    def first_view(self, modality: int) -> View:
        """The view of a modality that targets are about."""
        return next(view for view in self.views if view.modality == modality)

    @property
    def layout(self) -> Target | None:
        """The target that lays the first views out, if there is one."""
        return next((target for target in self.targets if not isinstance(target, _BESIDE)), None)

    @property
    def labelled(self) -> bool:
        """Whether the classes of the images are wanted."""
        return any(isinstance(target, Labels) for target in self.targets)

    @property
    def numbered(self) -> bool:
        """Whether the rows of the images are wanted."""
        return any(isinstance(target, Rows) for target in self.targets)


@dataclass(frozen=True)
class HeldOut:
    """What a method wants to see of images that it does not train on; the same in every pass.

    Attributes:
        recipe: usually without random operations, or with those that the method's task consists of.
        repeats: how often each image is shown, each time with other draws.
        whole_batches: False shows the images in order, each once per repeat, the last batch padded. True is
            for methods that compare the images of a batch: every batch is full, of min(B, n) images per
            modality, in a shuffled order that is fixed, as neighbours in the list are mostly one person. Then
            the smaller modality starts again, and what is left of the larger one is not shown.
    """

    recipe: Recipe
    repeats: int = 1
    whole_batches: bool = False


def view_name(modality: int, number: int = 0) -> str:
    """The name of a modality's view: visible, visible_2, visible_3, ...; infrared likewise.

    Args:
        modality: VISIBLE or INFRARED.
        number: from 0.
    """
    return MODALITIES[modality] + (f"_{number + 1}" if number else "")


def each_modality(
    chains: Sequence[Sequence[tuple[Operation, ...]]], height=0, width=0, first=0
) -> tuple[View, ...]:
    """Views by the usual names and streams.

    Args:
        chains: (chains of the visible views, chains of the infrared views).
        height: of every view, see `View`.
        width: likewise.
        first: number of the first of them, where others come before.
    """
    return tuple(
        View(view_name(modality, number), modality, tuple(chain), height, width, number)
        for modality in (VISIBLE, INFRARED)
        for number, chain in enumerate(chains[modality], first)
    )


def baseline_chain(augmentation, modality: int) -> tuple[Operation, ...]:
    """Pad, crop and flip, AugMix, erasing: the chain of MMGL and of the baselines.

    Erasing is drawn also where it never happens, and AugMix, whose numbers follow its width and depth, gets
    the last of them: so switching one thing off leaves the others as they were. Erasing acts on the
    normalised image, hence after AugMix.

    Args:
        augmentation: whatever has the fields of `mmgl_tf.flags.methods.shared.augmentation`, such as the
            options of a method.
        modality: VISIBLE or INFRARED.
    """
    named = ("both", MODALITIES[modality])
    erases = augmentation.erase_modalities in named
    chain = (
        PadCropFlip(augmentation.pad_pixels, augmentation.flip_probability, augmentation.pad_value),
        Erase(
            augmentation.erase_probability if erases else 0.0,
            augmentation.erase_min_area,
            augmentation.erase_max_area,
            augmentation.erase_min_aspect,
            augmentation.erase_max_aspect,
            augmentation.erase_tries,
        ),
    )
    if augmentation.augmix_modalities not in named:
        return chain
    return (
        *chain,
        AugMix(
            augmentation.augmix_severity,
            augmentation.augmix_width,
            augmentation.augmix_depth,
            augmentation.warp,
        ),
    )


def baseline_views(augmentation) -> tuple[View, ...]:
    """`visible` and `infrared`, each through its `baseline_chain`."""
    return each_modality([[baseline_chain(augmentation, modality)] for modality in (VISIBLE, INFRARED)])


def mmgl_recipe(augmentation, num_stripes: int) -> Recipe:
    """MMGL's batch: one view per modality, in shuffled stripes.

    Args:
        augmentation: as in `baseline_chain`, with the settings of MMGL.
        num_stripes: N.
    """
    return Recipe(baseline_views(augmentation), (Permutation(num_stripes, augmentation.share_permutation),))


def mmgl_held_out(num_stripes: int, repeats: int) -> HeldOut:
    """Every image as it is, under `repeats` orders of its stripes, an image's own."""
    return HeldOut(Recipe(each_modality([[()], [()]]), (Permutation(num_stripes, shared=False),)), repeats)


def finetuning_recipe(augmentation, sampler: Sampler = Sampler.WITH_REPLACEMENT) -> Recipe:
    """The baselines' batch: one view per modality, and classes."""
    return Recipe(baseline_views(augmentation), (Labels(),), sampler)
