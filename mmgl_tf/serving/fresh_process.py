"""A program that embeds with an exported model as a new server would: python -m mmgl_tf.serving.fresh_process
VERSION_DIRECTORY REQUEST.npz ANSWER.npz.

Nothing of the exporting process is at hand: what the model needs and was not saved is missing here. It uses
the session loader, and no Keras and no network of ours.

REQUEST holds files (uint8, all of them one after the other), lengths (of each), images (float32
[N, H, W, 3]), modality (int32 [N]) and batch_size. ANSWER holds serving_default, serving_bytes and
serving_images: float32 [N, D], and warmed_up: how many warm-up requests were run.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def embed_in_fresh_process(directory, encoded, images, modality, batch_size):
    """Runs the program above.

    Args:
        directory: of the version.
        encoded: bytes of image files, list [N].
        images: the same, decoded: [N, H, W, 3] in 0..255.
        modality: integers [N].
        batch_size: images in a request.

    Returns:
        {signature: float32 [N, D]} and "warmed_up".

    Raises:
        ValueError: it failed; says why.
    """
    with tempfile.TemporaryDirectory() as exchange:
        request, answer = Path(exchange, "request.npz"), Path(exchange, "answer.npz")
        np.savez(
            request,
            files=np.frombuffer(b"".join(encoded), np.uint8),
            lengths=[len(one) for one in encoded],
            images=np.asarray(images, np.float32),
            modality=np.asarray(modality, np.int32),
            batch_size=batch_size,
        )
        command = [sys.executable, "-m", "mmgl_tf.serving.fresh_process", directory, request, answer]
        done = subprocess.run(
            list(map(str, [*command[:3], *(Path(path).resolve() for path in command[3:])])),
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode or not answer.is_file():
            last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
            raise ValueError(
                f"a fresh process cannot use the exported model (exit status {done.returncode}): {last[0]}"
            )
        with np.load(answer) as found:
            return dict(found)


def _main(directory, request, answer):
    import tensorflow as tf

    from mmgl_tf.serving.session_model import SessionModel
    from mmgl_tf.serving.warm_up import read_warm_up

    # A GPU's shorter multiplications would hide behind a thousandth what differs in the model.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    with np.load(request) as given:
        ends = np.cumsum(given["lengths"])
        files = [
            given["files"][end - n : end].tobytes() for end, n in zip(ends, given["lengths"], strict=True)
        ]
        images, modality, batch_size = given["images"], given["modality"], int(given["batch_size"])
    inputs = {"image_bytes": np.array(files, object), "images": images, "modality": modality}
    with SessionModel(directory) as model:
        warm_ups = [model.run(inputs, signature) for signature, inputs in read_warm_up(directory)]
        found = {"warmed_up": len(warm_ups)}
        for name, signature in model.signatures.items():
            parts = []
            for start in range(0, len(files), batch_size):
                part = slice(start, start + batch_size)
                parts.append(model.run({key: inputs[key][part] for key in signature["inputs"]}, name))
            found[name] = np.concatenate([part["embedding"] for part in parts])
    np.savez(answer, **found)


if __name__ == "__main__":
    _main(*sys.argv[1:])
