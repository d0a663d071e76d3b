"""Settings of the network, and of where fine-tuning starts."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Network:
    """Network: the encoder."""

    backbone: str = setting(
        "resnet50", "trunk", choices=("resnet10", "resnet18", "resnet34", "resnet50"), paper="resnet50"
    )
    stream: str = setting(
        "two",
        "stems: two = one per modality, one = shared; in fine-tuning the method decides",
        choices=("one", "two"),
        paper="both",
    )
    stem_init: str = setting(
        "shared",
        "both stems start from the same values, or each from its own",
        choices=("shared", "independent"),
        paper="silent",
    )


@dataclass(frozen=True)
class Finetuning:
    """Fine-tuning: with identities, from some start (paper: as the baselines' code has it)."""

    init: str = setting(
        "random",
        "where fine-tuning starts: random, a run directory or an encoder's .weights.h5; for eval and "
        "visualize what to look at: a run directory, several with commas between, {trial} meaning 1 to 10; "
        "eval also takes chance, hog, colour and pixels, which need no training",
        paper="an MMGL run",
    )
    init_weights: str = setting(
        "best",
        "which encoder of the run to start from; last where there is no best",
        choices=("best", "last"),
    )
    stem_from: str = setting(
        "",
        "the stem that a two-stream encoder gives to a one-stream method; must be chosen",
        choices=("", "visible", "infrared", "mean"),
    )
    identities_per_batch: int = setting(8, "identities in a batch", low=2, paper="8")
    images_per_identity: int = setting(
        4, "images of an identity and modality in a batch", unit="images", low=1, paper="4"
    )
    trunk_lr_multiplier: float = setting(
        0.1, "learning rate of trunk and stems over that of the heads", low=0.0, paper="0.1 (baselines' code)"
    )
