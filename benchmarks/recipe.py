"""Which training step a benchmark takes: that of a run with the same flags."""

from mmgl_tf.backbones import BACKBONES
from mmgl_tf.flags.config import from_flat
from mmgl_tf.flags.methods import PRETRAINING
from mmgl_tf.flags.presets import PRESETS
from mmgl_tf.flags.resolution import resolve


def add_recipe_flags(parser, default_preset, precision="float32"):
    """Flags of the network and its batch, read by `recipe`."""
    parser.add_argument("--preset", default=default_preset, choices=tuple(PRESETS), help="the recipe")
    parser.add_argument("--method", default="mmgl", choices=tuple(PRETRAINING), help="of pre-training")
    parser.add_argument("--backbone", choices=tuple(BACKBONES), help="instead of the preset's")
    parser.add_argument("--size", help="height x width, pixels, instead of the preset's")
    parser.add_argument("--batch", type=int, default=48, help="images per modality, of all replicas")
    parser.add_argument("--precision", default=precision, choices=("float32", "bfloat16", "float16"))


def recipe(arguments, **settings):
    """The configuration that a run of these flags has.

    Args:
        arguments: parsed, of `add_recipe_flags`.
        **settings: further settings by name.

    Returns:
        `mmgl_tf.flags.config.Config`.
    """
    chosen = {name: getattr(arguments, name) for name in ("method", "preset", "precision")}
    chosen["batch_size"] = arguments.batch
    if arguments.backbone:
        chosen["backbone"] = arguments.backbone
    if arguments.size:
        chosen["image_height"], chosen["image_width"] = (int(n) for n in arguments.size.split("x"))
    return from_flat(resolve("pretrain", chosen | settings) | {"mode": "pretrain"})
