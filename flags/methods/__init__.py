"""The settings of each method, by its name: one file and one line here.

A method's settings are a frozen dataclass. Beside its fields, each of which is a flag, it may say:

- `TITLE`: what the method is called in tables and sentences;
- `TITLED_BY`: name of a field of text that belongs to that, as in "Supervised (visible)";
- `COST`: how long its usual training takes beside that of its mode's default method, about; 1 unless it is
  said. Estimates of how long experiments take begin with it;
- `WITH_IDENTITIES`: True where a pre-training method is told who is who;
- `NOTE`: a remark for below the tables that compare it;
- `READS`: names of groups in `SHARED` that it reads as well;
- `IMAGES`: names of groups in `IMAGES` that it reads;
- `STREAM`: "one" where a fine-tuning method has one stem, else it has two;
- `PRESETS`: {preset: {setting: value}}, of any group, over the preset's own;
- `DATASET_PRESETS`: {data set: {preset: {setting: value}}}, over those, where its authors have another value
  there; the drawn world counts as the data set whose layout it has;
- `RECIPES`: {recipe: {setting: value}}, over those, see `mmgl_tf.flags.resolution`; a method without has
  no --recipe=native;
- `problems(config)`: what is wrong with a run's settings, a list of sentences; a group in `SHARED` or
  `IMAGES` may have it too;
- `obstacle_to_xla(options)`: why XLA cannot compile a step, "" where it can;
- `FIXED`: names of its fields that are built into the weights, and cannot be changed afterwards; a group in
  `SHARED` may have it too;
- `EVALUATED`: {data set: {setting of an evaluation: value}}, as its authors test it, where that is not the
  default;
- `WITH_BATCH`: names of its fields that follow --batch_size in proportion, unless they are typed;
- `TINY`: {setting: value} that makes the method small, for `tests/contracts`.
"""

from mmgl_tf.flags.methods.agw import Agw, AgwNetwork, PairWeights
from mmgl_tf.flags.methods.barlow_twins import BarlowTwins
from mmgl_tf.flags.methods.baseline import OneStream, TwoStream
from mmgl_tf.flags.methods.byol import Byol
from mmgl_tf.flags.methods.caj import Caj
from mmgl_tf.flags.methods.colorization import Colorization
from mmgl_tf.flags.methods.ddag import Ddag
from mmgl_tf.flags.methods.jigsaw import Jigsaw
from mmgl_tf.flags.methods.mmgl import Mmgl
from mmgl_tf.flags.methods.mpanet import MpaNet
from mmgl_tf.flags.methods.nfs import Nfs
from mmgl_tf.flags.methods.psl import Psl
from mmgl_tf.flags.methods.shared.augmentation import Crops, Distortions, Flips
from mmgl_tf.flags.methods.shared.held_out_orders import HeldOutOrders
from mmgl_tf.flags.methods.shared.residual_start import ResidualStart
from mmgl_tf.flags.methods.shared.tile_puzzles import TilePuzzles
from mmgl_tf.flags.methods.shared.triplet import BatchHard, Triplet
from mmgl_tf.flags.methods.shared.two_views import TwoViews
from mmgl_tf.flags.methods.shared.unseen_stem import UnseenStem
from mmgl_tf.flags.methods.shared.views import AlikeViews, UnlikeViews, Views
from mmgl_tf.flags.methods.simclr import SimClr
from mmgl_tf.flags.methods.simsiam import SimSiam
from mmgl_tf.flags.methods.supervised import Supervised
from mmgl_tf.flags.methods.swav import SwAv
from mmgl_tf.flags.methods.vcd import Vcd

PRETRAINING = {
    "mmgl": Mmgl,
    "simclr": SimClr,
    "swav": SwAv,
    "byol": Byol,
    "simsiam": SimSiam,
    "barlow_twins": BarlowTwins,
    "colorization": Colorization,
    "supervised": Supervised,
    "jigsaw": Jigsaw,
    "psl": Psl,
}
FINETUNING = {
    "one_stream": OneStream,
    "two_stream": TwoStream,
    "agw": Agw,
    "ddag": Ddag,
    "mpanet": MpaNet,
    "vcd": Vcd,
    "caj": Caj,
    "nfs": Nfs,
}
# Settings of a run's images that several methods read; they make none of them another method.
IMAGES = {
    "flips": Flips,
    "crops": Crops,
    "distortions": Distortions,
    "held_out_orders": HeldOutOrders,
}
# Settings of methods that several of them have.
SHARED = {
    "triplet": Triplet,
    "batch_hard": BatchHard,
    "pair_weights": PairWeights,
    "agw_network": AgwNetwork,
    "views": Views,
    "alike_views": AlikeViews,
    "unlike_views": UnlikeViews,
    "two_views": TwoViews,
    "residual_start": ResidualStart,
    "tile_puzzles": TilePuzzles,
    "unseen_stem": UnseenStem,
}
METHODS = PRETRAINING | FINETUNING
# The method of a mode where neither the command line nor the preset names one.
DEFAULTS = {"pretrain": "mmgl", "finetune": "agw"}


def methods_of(mode):
    """The methods that a mode can train, by name; all of them for a mode that trains none."""
    return {"pretrain": PRETRAINING, "finetune": FINETUNING}.get(mode, METHODS)


def title(method, settings=None):
    """What a method is called, e.g. "MMGL".

    Args:
        method: its name, or "" or None for no method.
        settings: flat settings of a run of it, {name: value}, where they are known: they may belong to the
            name.
    """
    if method not in METHODS:
        return method or "no method"
    kind = METHODS[method]
    known = (settings or {}).get(getattr(kind, "TITLED_BY", None))
    return f"{kind.TITLE} ({known})" if known else kind.TITLE


def groups_read(method):
    """Names of the groups of settings that say what a method is; its own is the last."""
    return (*getattr(METHODS[method], "READS", ()), method)


def groups_of(method):
    """Names of all groups of settings that a method reads: those of `groups_read`, and of the images."""
    return (*getattr(METHODS[method], "IMAGES", ()), *groups_read(method))


def preset_of(method, name, dataset):
    """What a preset means for a method beside what it means for all, {setting: value}.

    Args:
        method: its name.
        name: of the preset.
        dataset: "sysu", "regdb" or "folder".
    """
    kind = METHODS[method]
    of_dataset = getattr(kind, "DATASET_PRESETS", {}).get(dataset, {})
    return getattr(kind, "PRESETS", {}).get(name, {}) | of_dataset.get(name, {})


def obstacle_to_xla(method, options):
    """Why XLA cannot compile a method's step, for an error message; "" where it can.

    Args:
        method: its name.
        options: `mmgl_tf.flags.config.options_type` of the method.
    """
    return getattr(METHODS[method], "obstacle_to_xla", lambda _: "")(options)


def recipes(method):
    """The recipes that a method has, {value of --recipe: {setting: value}}; "common" changes nothing."""
    return {"common": {}} | getattr(METHODS[method], "RECIPES", {})


def fixed(method):
    """Names of the settings that are built into a method's weights; () of no method."""
    if method not in METHODS:
        return ()
    kinds = [SHARED.get(group, METHODS.get(group)) for group in groups_read(method)]
    return tuple(name for kind in kinds for name in getattr(kind, "FIXED", ()))


def evaluated(method, dataset):
    """How a method's authors test it, where not as the default has it.

    Args:
        method: its name; there is nothing for no method.
        dataset: as in `preset_of`.

    Returns:
        {setting of an evaluation: value}.
    """
    return getattr(METHODS.get(method), "EVALUATED", {}).get(dataset, {})


def cost(method):
    """How long a method's usual training takes beside that of its mode's default method, about."""
    return getattr(METHODS[method], "COST", 1.0)


def stream(method):
    """The stems that a fine-tuning method has: "one" or "two"."""
    return getattr(METHODS[method], "STREAM", "two")
