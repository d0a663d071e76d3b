"""Test images of a few people as files, each with pixels of its own: a picture's image can be told again."""

import numpy as np
from PIL import Image

from mmgl_tf.pipelines.decode import decode_image
from mmgl_tf.pipelines.readers.sysu import PROTOCOL as SYSU
from mmgl_tf.pipelines.records import INFRARED, VISIBLE, DatasetSplits, Sample, Split

PEOPLE = (3, 5, 8, 13)
CAMERAS = {VISIBLE: (1, 2, 4, 5), INFRARED: (3, 6)}
FRAMES = 2


def write_people(root, broken=(), protocol=SYSU):
    """Write the images and say what they are.

    People's numbers are not their places, and the broken files are not the last ones.

    Args:
        root: directory.
        broken: (identity, camera, frame) of files that are no images.
        protocol: SYSU: infrared queries in camera 3 and 6. REGDB: visible queries, no cameras.

    Returns:
        `DatasetSplits` with query and gallery.
    """
    has_cameras = protocol.gallery_draw != "all"
    samples = {VISIBLE: [], INFRARED: []}
    for modality, cameras in CAMERAS.items():
        for identity in PEOPLE:
            for camera in cameras:
                for frame in range(FRAMES):
                    path = root / f"{camera}-{identity}-{frame}.png"
                    _write(path, modality, identity, camera, frame, (identity, camera, frame) in broken)
                    known = camera if has_cameras else None
                    samples[modality].append(Sample(str(path), identity, known, modality))
    first, second = (INFRARED, VISIBLE) if has_cameras else (VISIBLE, INFRARED)
    return DatasetSplits(
        protocol.name,
        str(root),
        query=Split("query", tuple(samples[first]), protocol),
        gallery=Split("gallery", tuple(samples[second]), protocol),
    )


def recognise(splits, height=96, width=48):
    """{pixels as bytes: `Sample`} of all readable images, decoded one by one."""
    known = {}
    for sample in (*splits.query.samples, *splits.gallery.samples):
        with open(sample.path, "rb") as file:
            encoded = file.read()
        if encoded != b"broken":
            known[decode_image(encoded, height, width).numpy().tobytes()] = sample
    return known


def _write(path, modality, identity, camera, frame, broken):
    path.parent.mkdir(parents=True, exist_ok=True)
    if broken:
        path.write_bytes(b"broken")
        return
    person = np.random.default_rng(identity).integers(0, 256, (8, 4, 3))
    moment = np.random.default_rng([identity, camera, frame]).integers(-90, 91, (8, 4, 3))
    coarse = np.clip(person + moment, 0, 255).astype(np.uint8)
    if modality == INFRARED:
        coarse = coarse[..., :1].repeat(3, axis=2)
    Image.fromarray(coarse.repeat(12, axis=0).repeat(12, axis=1)).save(path)
