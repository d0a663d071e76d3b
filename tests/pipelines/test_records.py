import dataclasses
import re
import subprocess
import sys

import pytest

from mmgl_tf.pipelines.readers.held_out import held_out
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE, DatasetSplits, Sample, Split
from tests.test_architecture import ROOT, files

SAMPLES = (
    Sample("c", 7, 3, INFRARED),
    Sample("a", 9, 2, VISIBLE),
    Sample("b", 7, 1, VISIBLE),
    Sample("d", 7, 2, VISIBLE),
    Sample("e", None, None, VISIBLE),
)


def test_codes_and_names_agree():
    assert (MODALITIES[VISIBLE], MODALITIES[INFRARED]) == ("visible", "infrared")
    assert (VISIBLE, INFRARED) == (0, 1)


def test_split_selects_and_counts():
    split = Split("train", SAMPLES)
    assert len(split) == 5
    assert [s.path for s in split.of_modality(VISIBLE)] == ["a", "b", "d", "e"]
    assert [s.path for s in split.of_modality(INFRARED)] == ["c"]
    assert split.identities() == (7, 9)
    assert list(split.counts().items()) == [((0, 1), 1), ((0, 2), 2), ((0, None), 1), ((1, 3), 1)]


def test_records_are_frozen_and_default_to_empty():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SAMPLES[0].path = "x"
    splits = DatasetSplits("name", "root")
    assert [split.name for split in splits.splits()] == ["train", "validation", "query", "gallery"]
    assert not any(len(split) for split in splits.splits())


def test_records_need_no_tensorflow():
    code = (
        "import sys; import importlib.util as u; spec = u.spec_from_file_location('records', "
        "'pipelines/records.py'); m = u.module_from_spec(spec); sys.modules['records'] = m; "
        "spec.loader.exec_module(m); assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(10, 0.2, 2), (206, 0.2, 41), (3, 0.1, 1), (1, 0.1, 0)]
)
def test_held_out_count(count, share, expected):
    assert len(held_out(range(count), share, "salt")) == expected


def test_held_out_depends_on_keys_and_salt_only():
    keys = list(range(50))
    chosen = held_out(keys, 0.2, "salt")
    assert chosen == held_out(reversed(keys), 0.2, "salt")
    assert chosen != held_out(keys, 0.2, "pepper")
    assert held_out(keys, 0.0, "salt") == set()
    # Golden: another choice would silently move validation identities into training.
    assert sorted(held_out(range(10), 0.3, "salt")) == [5, 6, 7]


def test_the_modalities_are_named_in_the_order_of_their_codes_and_once():
    assert (MODALITIES[VISIBLE], MODALITIES[INFRARED]) == ("visible", "infrared")
    defined = [path for path, text in files(ROOT, ".py") if re.search(r"^MODALITIES = ", text, re.MULTILINE)]
    assert defined == ["pipelines/records.py"]
