"""Settings of the network, and those that only pre-training or only fine-tuning has."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Network:
    """Network: the encoder."""

    backbone: str = setting(
        "resnet50",
        "ResNet that stems and heads are attached to",
        choices=("resnet10", "resnet18", "resnet34", "resnet50"),
        paper="resnet50",
    )
    stream: str = setting(
        "two",
        "first layers: two = a stem for each modality, one = a shared stem; in fine-tuning the method "
        "decides",
        choices=("one", "two"),
        paper="both",
    )
    stem_init: str = setting(
        "shared",
        "initial weights of two stems: shared = the same values, independent = drawn separately",
        choices=("shared", "independent"),
        paper="silent",
        at_start=True,
    )


@dataclass(frozen=True)
class Pretraining:
    """Pre-training: epochs, and what is looked at after each."""

    epoch_by: str = setting(
        "max",
        "an epoch is one pass over the modality with more images, or with fewer",
        choices=("max", "min"),
        paper="max (inferred)",
    )
    select_by: str = setting(
        "method",
        "what picks encoder_best: method = the method's own figure on held-out images, where it has one; "
        "mAP or rank1 = a search of the validation identities after each epoch, which reads their labels",
        choices=("method", "mAP", "rank1"),
        paper="silent",
    )
    validation_images: int = setting(
        0, "held-out images of each modality that validation looks at; 0 = all", unit="images", low=0
    )
    probe_images: int = setting(
        80,
        "held-out images of each modality for pictures and statistics of embeddings",
        unit="images",
        low=2,
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
        "which encoder of the run that --init names to start from; last where there is no best",
        choices=("best", "last"),
    )
    stem_from: str = setting(
        "",
        "which stem of a two-stream start a one-stream method takes; must be chosen there",
        choices=("", "visible", "infrared", "mean"),
    )
    identities_per_batch: int = setting(8, "identities in a batch of fine-tuning", low=2, paper="8")
    images_per_identity: int = setting(
        4,
        "images of each identity in each modality in a batch of fine-tuning",
        unit="images",
        low=1,
        paper="4",
    )
    trunk_lr_multiplier: float = setting(
        0.1,
        "learning rate of trunk and stems, as a multiple of that of the heads",
        low=0.0,
        paper="0.1 (baselines' code)",
    )
    retrieval_every_epochs: int = setting(
        1,
        "how often the validation identities are searched for; after the last epoch always",
        unit="epochs",
        low=1,
    )
    retrieval_metric: str = setting(
        "mAP",
        "figure on the validation identities that picks the best weights",
        choices=("mAP", "rank1"),
        paper="rank1 on test identities (baselines' code)",
    )
