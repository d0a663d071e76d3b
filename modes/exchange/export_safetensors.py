"""--mode=export --safetensors=STEM: a run's encoder as a file for PyTorch."""

from pathlib import Path

from mmgl_tf.interchange.to_torchvision import write_torchvision
from mmgl_tf.modes.model import prepare
from mmgl_tf.modes.saved_run import is_finetuned, load_embedder
from mmgl_tf.pipelines.decode import MEAN, STD


def export_safetensors(config):
    """Write the encoder of --init as WORKDIR/encoder_STEM.safetensors.

    Args:
        config: `mmgl_tf.flags.config.Config`, made from that run.

    Returns:
        0, the exit status.
    """
    prepare(config)
    which = config.export.export_weights
    loaded = load_embedder(config, which)
    if loaded is None:  # nothing was held out to choose by
        which = "last"
        loaded = load_embedder(config, which)
    embedder, _ = loaded
    stem, encoder = config.importing.safetensors, embedder.encoder
    finetuned = is_finetuned(config.finetuning.init)
    whole = stem == "both" and finetuned
    path = Path(config.run.workdir) / f"encoder_{stem if encoder.stream == 'two' else 'shared'}.safetensors"
    about = {
        "source": Path(config.finetuning.init).name,
        "weights": which,
        "image_size": f"{config.data.image_height}x{config.data.image_width}",
        "resize": config.data.resize,
        "mean": ",".join(map(str, MEAN)),
        "std": ",".join(map(str, STD)),
    }
    count = write_torchvision(encoder, path, stem, embedder if whole else None, about)
    print(f"encoder    {encoder.backbone}, {which} weights of {config.finetuning.init}")
    print(f"written    {count} tensors to {path}")
    if len(embedder.starts()) > 1:
        print(f"note       it is one of {len(embedder.starts())}, the one that looks at both modalities")
    if finetuned and not whole:
        within = any(branch.between or branch.by_modality for branch in embedder.branches())
        left = "layers within the trunk, pooling and neck" if within else "pooling and neck"
        both = "; --safetensors=both has" if encoder.stream == "two" else ""
        print(f"note       {left} of the fine-tuned network have no place there{both}")
    print("note       in PyTorch, the last stage has stride 1: see the README on how to load it", flush=True)
    return 0
