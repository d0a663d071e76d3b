"""Reading a data set for a mode; drawing it first where it is the built-in world."""

import hashlib
import os

import numpy as np

from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.pipelines import DATASETS
from mmgl_tf.pipelines.images.image_store import open_store
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE

NAMED = 50  # unreadable files that an error message lists


def read_data(config, modalities=(VISIBLE, INFRARED)):
    """(data set, its images): see `read_splits` and `open_stores`."""
    splits = read_splits(config)
    return splits, open_stores(config.data, splits, needed=modalities)


def read_splits(config):
    """The data set of --dataset, as `mmgl_tf.pipelines.records.DatasetSplits`.

    Args:
        config: `mmgl_tf.flags.config.Config`.
    """
    if config.data.dataset == "synthetic":
        from mmgl_tf.pipelines.synthetic import ensure_world

        with ProgressLine("people drawn", "images") as progress:
            ensure_world(config.world, config.data.cache_dir, progress)
    return DATASETS[config.data.dataset](config.data, config.world)


def data_fingerprint(splits):
    """A short text that changes with the images a run trains and selects on: their names and sizes.

    Moving a data set elsewhere does not change it.

    Args:
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
    """
    digest = hashlib.sha256()
    for split in (splits.train, splits.validation):
        for sample in split.samples:
            size = os.path.getsize(sample.path) if os.path.exists(sample.path) else -1
            digest.update(f"{split.name} {os.path.relpath(sample.path, splits.root)} {size}\n".encode())
    return digest.hexdigest()[:16]


def open_stores(data, splits, names=("train", "validation"), needed=(VISIBLE, INFRARED)):
    """The images of some splits, each modality apart.

    Args:
        data: `mmgl_tf.flags.config.Data`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
        names: which splits: "train", "validation", "query", "gallery".
        needed: modalities that training and validation images must be of.

    Returns:
        {(split name, modality): ImageStore}; a split without images is left out, and so is a modality that a
        split lacks.

    Raises:
        ValueError: training or validation images lack a needed modality, or images are unreadable and
            --on_bad_image=fail; names those of all stores at once.
    """
    known = {split.name: split for split in splits.splits()}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"there are no splits {unknown}; expected some of {sorted(known)}")
    wanted = [known[name] for name in dict.fromkeys(names)]
    for split in wanted:
        if split.name in ("train", "validation"):
            _judge_modalities(split, needed)
    stores = {}
    for split in wanted:
        for modality in (VISIBLE, INFRARED):
            samples = split.of_modality(modality)
            if not samples:
                continue
            with ProgressLine(f"{split.name} {MODALITIES[modality]} decoded", "images") as progress:
                stores[split.name, modality] = open_store(
                    samples,
                    data.image_height,
                    data.image_width,
                    cache=data.cache,
                    cache_dir=data.cache_dir,
                    on_bad_image="skip",  # Judged below, so that one message names them all.
                    progress=progress,
                    resize=data.resize,
                )
    for store in stores.values():
        for note in store.notes:
            print(note)
    skipped = [pair for store in stores.values() for pair in store.skipped]
    if skipped and data.on_bad_image == "fail":
        listed = "".join(f"\n  {path}: {reason}" for path, reason in skipped[:NAMED])
        more = f"\n  and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
        raise ValueError(
            f"{len(skipped)} of {sum(map(len, stores.values()))} images cannot be read:{listed}{more}\n"
            "Replace or remove them, or leave them out with --on_bad_image=skip."
        )
    return stores


def agree_on_images(distribution, stores):
    """Sees to it that all workers could read the same images, as the plan of an epoch follows from that.

    Args:
        distribution: `mmgl_tf.machines.distribution.Distribution`.
        stores: as `open_stores` returns them.

    Raises:
        ValueError: they could not.
    """
    distribution.agree(
        **{
            f"the_readable_{split}_{MODALITIES[modality]}_images": _Few(store.usable.tolist())
            for (split, modality), store in stores.items()
        }
    )


class _Few(list):
    """Numbers that are compared whole and shown as a count."""

    def __format__(self, spec):
        return f"{len(self)} of them"


def _judge_modalities(split, needed):
    """Refuses a split that lacks a modality; one that lacks all where it is trained on."""
    found = {modality: len(split.of_modality(modality)) for modality in (VISIBLE, INFRARED)}
    lacking = [MODALITIES[modality] for modality in needed if not found[modality]]
    if lacking and (len(split) or split.name == "train"):
        needs = "both modalities are" if len(needed) == 2 else f"{MODALITIES[needed[0]]} ones are"
        raise ValueError(
            f"{found[VISIBLE]} visible and {found[INFRARED]} infrared images were found for "
            f"{split.name}; {needs} needed. "
            + (
                "--train_ids=trainval holds nothing out."
                if split.name == "validation"
                else "`python main.py --mode=check_data` shows what was found where."
            )
        )


def require_identities(split, why, modalities=(VISIBLE, INFRARED)):
    """Refuse images of which nobody knows who is on them.

    Args:
        split: `pipelines.records.Split`.
        why: what needs to know, e.g. "--mode=finetune".
        modalities: whose images have to be known.
    """
    samples = [sample for sample in split.samples if sample.modality in modalities]
    unlabelled = sum(sample.identity is None for sample in samples)
    if unlabelled:
        kind = "training" if split.name == "train" else split.name
        raise ValueError(
            f"{unlabelled} of {len(samples)} {kind} images have no identity; {why} needs them. In a "
            "folder data set each person has a directory of their own below visible/ and infrared/."
        )


def identities_of(split, modalities=(VISIBLE, INFRARED)):
    """(of the visible, of the infrared images): int64 [n], in the order of the stores.

    Args:
        split: `pipelines.records.Split`.
        modalities: those wanted; None stands for another one.
    """
    return tuple(
        np.array([sample.identity for sample in split.of_modality(modality)], np.int64)
        if modality in modalities
        else None
        for modality in (VISIBLE, INFRARED)
    )


def require_labels(splits):
    """Refuse test splits in which nobody can be looked for.

    Args:
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
    """
    for split in (splits.query, splits.gallery):
        if not len(split):
            raise ValueError(
                f"{splits.root} has no {split.name} images, so there is nothing to evaluate. "
                "`python main.py --mode=check_data` shows what was found where."
            )
        unknown = sum(sample.identity is None for sample in split.samples)
        if unknown:
            raise ValueError(
                f"{unknown} of {len(split)} {split.name} images have no identity; evaluation needs to know "
                "who is who. In a folder data set each person has a directory below visible/ and infrared/."
            )
