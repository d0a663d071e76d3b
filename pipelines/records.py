"""What the readers hand on: images as `Sample`s, gathered into `Split`s of one data set.

No TensorFlow here, so that tests, the evaluation protocols and the data check can use it alone.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

VISIBLE = 0
INFRARED = 1
# By code; networks name their stems so, and have the rows of a batch in this order.
MODALITIES = ("visible", "infrared")


@dataclass(frozen=True)
class Sample:
    """One image file.

    Attributes:
        path: where the file is; can be opened from the current directory.
        identity: the data set's own number of the person, or None where nobody labelled it.
        camera: the data set's own number of the camera, or None where unknown.
        modality: VISIBLE (0) or INFRARED (1).
    """

    path: str
    identity: int | None
    camera: int | None
    modality: int


@dataclass(frozen=True)
class Protocol:
    """How a query and a gallery split are to be compared; data that `mmgl_tf.retrieval` interprets.

    Attributes:
        name: the published protocol, e.g. "sysu".
        trials: over how many gallery draws (SYSU-MM01) or splits (RegDB) results are averaged.
        gallery_draw: "per_identity_and_camera" (each trial draws `shots` images of each identity from
            each camera) or "all" (the whole gallery split).
        shots: images per identity and camera that may be drawn, e.g. (1, 10).
        gallery_cameras: search mode -> cameras in the gallery, e.g. {"all": (1, 2, 4, 5)}.
        excluded_cameras: query camera -> gallery cameras it is never compared with, e.g. {3: (2,)}.
        directions: what may be searched with what; the first is how the split is stored, the second
            swaps query and gallery.
        identity_once: whether the cumulative match curve counts each gallery identity once.
    """

    name: str
    trials: int = 1
    gallery_draw: str = "all"
    shots: tuple[int, ...] = ()
    gallery_cameras: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    excluded_cameras: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    directions: tuple[str, ...] = ("infrared_to_visible",)
    identity_once: bool = False


@dataclass(frozen=True)
class Split:
    """Images that are used together.

    Attributes:
        name: "train", "validation", "query" or "gallery".
        samples: the images in a fixed, documented order.
        protocol: how to evaluate, on query and gallery splits; else None.
    """

    name: str
    samples: tuple[Sample, ...] = ()
    protocol: Protocol | None = None

    def __len__(self):
        return len(self.samples)

    def of_modality(self, modality: int) -> tuple[Sample, ...]:
        """The samples of one modality (VISIBLE or INFRARED), order kept."""
        return tuple(sample for sample in self.samples if sample.modality == modality)

    def identities(self) -> tuple[int, ...]:
        """The identity numbers that occur, ascending; images without identity do not count."""
        return tuple(sorted({s.identity for s in self.samples if s.identity is not None}))

    def counts(self) -> dict[tuple[int, int | None], int]:
        """Images per (modality, camera), by modality, then camera; the unknown camera comes last."""
        found = Counter((sample.modality, sample.camera) for sample in self.samples)
        return dict(sorted(found.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1] or 0)))


@dataclass(frozen=True)
class DatasetSplits:
    """A data set as its reader found it.

    Attributes:
        name: key in `pipelines.DATASETS`.
        root: directory that was read.
        train: images to pre-train on.
        validation: held-out identities (or images) for model selection; may be empty.
        query: test images to search with; may be empty.
        gallery: test images to search in; may be empty.
        licence: terms of use in a sentence.
        citation: whom to cite.
        published: what the data set's authors or users publish, label -> number of images; the labels
            are those of `mmgl_tf.pipelines.readers.check_data`. Empty where nothing is published.
        problems: what is wrong with the files or lists, one sentence each; empty when all is well.
        tests_on_training: whether query and gallery are images of train and validation, as the data set has
            no others to test on.
        identity_names: identity number -> directory name, where the reader made up the numbers.
    """

    name: str
    root: str
    train: Split = Split("train")
    validation: Split = Split("validation")
    query: Split = Split("query")
    gallery: Split = Split("gallery")
    licence: str = ""
    citation: str = ""
    published: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    tests_on_training: bool = False
    identity_names: Mapping[int, str] = field(default_factory=dict)

    def splits(self) -> tuple[Split, ...]:
        """All four splits, empty ones included."""
        return (self.train, self.validation, self.query, self.gallery)
