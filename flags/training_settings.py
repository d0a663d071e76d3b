"""Settings of a run: what to do, for how long, watched how."""

from dataclasses import dataclass

from mmgl_tf.flags.methods import FINETUNING, PRETRAINING
from mmgl_tf.flags.setting import setting

# LARS spares vectors, unless it adapts them as well.
WHERE_VECTORS_DECAY = ({"optimizer": ("sgd", "adam")}, {"swav_adapt_vectors": True})


@dataclass(frozen=True)
class Run:
    """Run: what to do and where."""

    mode: str = setting(
        "",
        "what to do",
        choices=(
            "pretrain",
            "finetune",
            "eval",
            "visualize",
            "export",
            "serve_check",
            "embed",
            "search",
            "import",
            "synthesize",
            "check_data",
        ),
    )
    method: str = setting(
        "",
        "what is trained; by default mmgl in pretrain, and agw in finetune or, with --preset=demo and smoke, "
        "two_stream; import tells it from the file, but for caj, whose network is agw's",
        choices=(*PRETRAINING, *FINETUNING),
        paper="MMGL; its Tables II to IV have the others",
    )
    recipe: str = setting(
        "common",
        "optimiser and schedule: common = those of the preset, which are MMGL's; native = those of the "
        "method's own authors, scaled to the batch and to the length of the run",
        choices=("common", "native"),
        paper="silent",
    )
    preset: str = setting(
        "paper",
        "named set of overrides; an explicit flag wins",
        choices=("paper", "demo", "smoke"),
        resumable=True,
    )
    workdir: str = setting(
        "",
        "run directory; everything a run makes goes there. By default a directory below runs/ named after "
        "mode, data set, method (but mmgl), start (in finetune), recipe (but common) and preset, such as "
        "runs/finetune-sysu-agw-mmgl-paper; what eval, visualize, export, serve_check and embed make goes "
        "below the run that --init names",
        resumable=True,
    )
    seed: int = setting(0, "seed of every random draw", low=0)
    deterministic: bool = setting(
        True, "bit-identical weights for the same seed, at some cost in speed on GPUs"
    )
    force: bool = setting(False, "resume although the configuration changed", resumable=True)
    checkpoint_every_steps: int = setting(
        0,
        "how often a resumable checkpoint is saved within an epoch too; 0 = at epoch ends only",
        unit="steps",
        low=0,
        resumable=True,
    )
    log_every_steps: int = setting(
        20,
        "how often a step's figures go to TensorBoard and to the progress lines",
        unit="steps",
        low=1,
        resumable=True,
    )


@dataclass(frozen=True)
class Optimization:
    """Optimisation: batches, learning rate and length."""

    batch_size: int = setting(
        48, "images per modality in a batch of pre-training or evaluation", unit="images", low=1, paper="48"
    )
    epochs: int = setting(
        100, "length of the run", unit="epochs", low=1, paper="100; fine-tuning 81 (baselines' code)"
    )
    steps_per_epoch: int = setting(
        0,
        "length of an epoch; 0 = one pass (pre-training: see epoch_by; fine-tuning: the larger modality, or "
        "as the method's sampler has it)",
        unit="steps",
        low=0,
    )
    learning_rate: float = setting(0.1, "peak learning rate", low=0.0, paper="0.1")
    lr_schedule: str = setting(
        "authors",
        "authors = per epoch, cosine from epoch 0; offset = per step, cosine after the warm-up; step = per "
        "epoch, a tenth from each of lr_milestones on",
        choices=("authors", "offset", "step"),
        paper="authors' log; fine-tuning step (baselines' code)",
    )
    lr_final: float = setting(
        0.0,
        "learning rate at the end of the cosine, as a share of the peak",
        low=0.0,
        high=1.0,
        needs={"lr_schedule": ("authors", "offset")},
    )
    lr_milestones: str = setting(
        "20,50",
        "epochs, with commas between, from each of which on the learning rate is a tenth of what it was "
        "before",
        unit="epochs",
        paper="20,50 (baselines' code); 30,50 with DDAG",
        needs={"lr_schedule": "step"},
    )
    warmup_epochs: float = setting(
        10.0, "length of the linear warm-up", unit="epochs", low=0.0, paper="10 (inferred)"
    )
    warmup_start: float = setting(
        0.0,
        "share of the peak learning rate that the warm-up starts from; 0 = the first of its n steps (or "
        "epochs) has an n-th of the peak",
        low=0.0,
        high=1.0,
    )
    optimizer: str = setting(
        "sgd",
        "optimiser, with PyTorch's update rules; lars scales each layer's step by the norm of its weights",
        choices=("sgd", "lars", "adam"),
        paper="sgd",
    )
    adam_beta_2: float = setting(
        0.999, "decay rate of Adam's second moment", low=0.0, high=0.9999999, needs={"optimizer": "adam"}
    )
    momentum: float = setting(
        0.9, "momentum of SGD and LARS, decay rate of Adam's first moment", low=0.0, high=0.999, paper="0.9"
    )
    nesterov: bool = setting(
        False,
        "Nesterov momentum",
        paper="silent; fine-tuning true (baselines' code)",
        needs={"optimizer": "sgd"},
    )
    weight_decay: float = setting(5e-4, "coupled weight decay, as in PyTorch", low=0.0, paper="0.0005")
    wd_on_bn: bool = setting(
        True,
        "decay batch norm's gamma and beta too, as PyTorch does",
        paper="silent",
        needs=WHERE_VECTORS_DECAY,
    )
    wd_on_bias: bool = setting(
        True,
        "decay the biases of dense layers and convolutions too, as PyTorch does",
        paper="silent",
        needs=WHERE_VECTORS_DECAY,
    )
    clip_norm: float = setting(0.0, "clip the global gradient norm; 0 = never", low=0.0, paper="silent")
    precision: str = setting(
        "float32",
        "arithmetic of the trunk; heads and losses are always float32; float16 has dynamic loss scaling",
        choices=("float32", "bfloat16", "float16"),
        paper="float32",
    )


@dataclass(frozen=True)
class Evaluation:
    """Evaluation: how identities that were never trained on are searched for."""

    gallery_draw: str = setting(
        "seeded",
        "SYSU-MM01's gallery: seeded = drawn as AGW and MMGL do; official = by exp/rand_perm_cam.mat",
        choices=("seeded", "official"),
        paper="seeded (authors' code)",
    )
    trials: int = setting(
        0, "random gallery draws to average over; 0 = as many as the protocol has", low=0, paper="10"
    )
    flip: bool = setting(
        False, "average the embeddings of an image and its mirror image", paper="false (authors' code)"
    )
    distance: str = setting(
        "cosine",
        "how embeddings are compared: cosine = of unit length; euclidean = as long as the network makes "
        "them, as MPANet's code does on RegDB",
        choices=("cosine", "euclidean"),
        paper="cosine (authors' code)",
    )
    rerank: bool = setting(False, "k-reciprocal re-ranking (Zhong et al. 2017)", paper="false")
    count_identities: str = setting(
        "protocol",
        "the match curve counts each gallery identity once: as the protocol says, or always, or never",
        choices=("protocol", "always", "never"),
        paper="protocol (SYSU-MM01 once, RegDB images)",
    )
    run_names: str = setting(
        "", "visualize: names of the runs in legends, with commas between; empty = parts of their paths"
    )
    pictures: bool = setting(
        True, "eval also draws: embedding map, ranked lists, curves, activation maps, TensorBoard's projector"
    )
    shown_queries: int = setting(8, "queries on the sheet of ranked lists", low=1, high=40)
    shown_identities: int = setting(20, "identities on the embedding map", low=2, high=60)
