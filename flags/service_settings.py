"""Settings of what is done with a trained model: export it, embed images, search, import checkpoints."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Export:
    """Export: the SavedModel for TF Serving."""

    model_name: str = setting("mmgl", "name under which the model is served", resumable=True)
    export_weights: str = setting(
        "best",
        "which weights of the run to use; last where there is no best",
        choices=("best", "last"),
        resumable=True,
    )
    export_feature: str = setting(
        "auto",
        "feature to serve, by its name in results.json; auto = the one that tables use: neck of a fine-tuned "
        "network, pool of a pre-trained one",
        resumable=True,
    )
    export_precision: str = setting(
        "float32",
        "number format of the exported convolutions; embeddings are float32 in either case",
        choices=("float32", "bfloat16"),
        resumable=True,
    )
    serving_batch_sizes: str = setting(
        "1,8,32",
        "batch sizes that the server runs, ascending, with commas between; each is warmed up",
        resumable=True,
    )
    keep_versions: int = setting(
        3, "number of exported versions to keep, the newest ones", low=1, resumable=True
    )
    skip_metrics: bool = setting(
        False, "do not evaluate the exported network on the run's test people", resumable=True
    )


@dataclass(frozen=True)
class Lookup:
    """Embed and search: features of any images, and who looks like whom."""

    images: str = setting(
        "",
        "what to embed or to search for: a directory (at any depth), an image, a .txt with one path a line; "
        "search also takes a directory of --mode=embed",
        resumable=True,
    )
    image_modality: str = setting(
        "auto",
        "modality of the images; auto = told by the nearest directory above them named visible, infrared, "
        "thermal or (SYSU-MM01) cam1 to cam6",
        choices=("auto", "visible", "infrared"),
        resumable=True,
    )
    gallery: str = setting("", "directory of --mode=embed to search in", resumable=True)
    top_k: int = setting(10, "gallery images listed for each query", low=1, resumable=True)
    search_index: str = setting(
        "exact",
        "library that compares every query with every gallery image: exact = our own, in blocks; faiss = "
        "FAISS, which holds the gallery in memory and needs faiss-cpu",
        choices=("exact", "faiss"),
        resumable=True,
    )


@dataclass(frozen=True)
class Import:
    """Import: checkpoints of PyTorch's world, and the way back."""

    checkpoint: str = setting(
        "", "file to import: .pth, .pt, .t (zip format) or .safetensors", resumable=True
    )
    safetensors: str = setting(
        "none",
        "export writes the encoder for PyTorch instead: with torchvision's names and the chosen stem, or "
        "both stems with the names of AGW's and MMGL's networks; network = a fine-tuned network whole, with "
        "the names of its reference",
        choices=("none", "visible", "infrared", "mean", "both", "network"),
        resumable=True,
    )
