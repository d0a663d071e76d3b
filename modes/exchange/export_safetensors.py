"""--mode=export --safetensors=STEM: a run's encoder, or its whole network, as a file for PyTorch."""

from pathlib import Path

from mmgl_tf.flags.methods import title
from mmgl_tf.interchange.recognise import network_of
from mmgl_tf.interchange.to_torchvision import write_network, write_torchvision
from mmgl_tf.modes.model import prepare
from mmgl_tf.modes.saved_run import is_finetuned, load_embedder
from mmgl_tf.pipelines.decode import MEAN, STD


def export_safetensors(config):
    """Write the encoder of --init as WORKDIR/encoder_STEM.safetensors, or all of it as network.safetensors.

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
    network = _whole(config, encoder)
    kind = stem if encoder.stream == "two" else "shared"
    path = Path(config.run.workdir) / f"{'network' if stem == 'network' else f'encoder_{kind}'}.safetensors"
    about = {
        "source": Path(config.finetuning.init).name,
        "weights": which,
        "image_size": f"{config.data.image_height}x{config.data.image_width}",
        "resize": config.data.resize,
        "mean": ",".join(map(str, MEAN)),
        "std": ",".join(map(str, STD)),
    }
    if network is None:
        count = write_torchvision(encoder, path, stem, about)
    else:
        count = write_network(network, embedder, path, about)
    print(f"encoder    {encoder.backbone}, {which} weights of {config.finetuning.init}")
    print(f"written    {count} tensors to {path}")
    if network is None:
        for line in _left_out(config, embedder):
            print(f"note       {line}")
    print("note       in PyTorch, the last stage has stride 1: see the README on how to load it", flush=True)
    return 0


def _whole(config, encoder):
    """The network whose names the whole embedder gets, or None where its encoder alone is written.

    Raises:
        ValueError: the whole was asked for, and there is none or nobody has names for it.
    """
    stem, method = config.importing.safetensors, config.run.method
    if stem not in ("both", "network"):
        return None
    finetuned, found = is_finetuned(config.finetuning.init), None
    if finetuned and (stem == "network" or encoder.stream == "two"):
        found = network_of(method, encoder.backbone, len(encoder.stems))
    if stem == "network" and found is None:
        why = (
            f"no code of {title(method)} is public that has names for it"
            if finetuned
            else (f"{config.finetuning.init} is no fine-tuned network")
        )
        raise ValueError(f"--safetensors=network: {why}; give visible, infrared, mean or both")
    return found


def _left_out(config, embedder):
    """Sentences on what the encoder's file lacks."""
    lines = []
    if len(embedder.starts()) > 1:
        lines.append(f"it is one of {len(embedder.starts())}, the one that looks at both modalities")
    if is_finetuned(config.finetuning.init):
        within = any(branch.between or branch.by_modality for branch in embedder.branches())
        left = "layers within the trunk, pooling and neck" if within else "pooling and neck"
        known = network_of(config.run.method, embedder.encoder.backbone, 1) is not None
        has = "; --safetensors=network has" if known else ""
        lines.append(f"{left} of the fine-tuned network have no place there{has}")
    return lines
