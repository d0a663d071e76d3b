import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mmgl_tf.flags.config import options_type
from mmgl_tf.pipelines.batches.build import held_out_dataset, training_dataset
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.identity_sampling import identity_plan
from mmgl_tf.pipelines.batches.plans import image_plan, people_plan
from mmgl_tf.pipelines.batches.recipe import finetuning_recipe, mmgl_held_out, mmgl_recipe
from mmgl_tf.pipelines.batches.sampling import pretraining_plan
from mmgl_tf.pipelines.batches.shards import WHOLE, Shards
from tests.pipelines.drawn_files import HEIGHT as FILE_HEIGHT
from tests.pipelines.drawn_files import WIDTH as FILE_WIDTH
from tests.pipelines.drawn_files import open_, write_images
from tests.pipelines.fake_store import HEIGHT, STRIPES, WIDTH, FakeStore, assert_same, stores

Augmentation = options_type("mmgl")

BATCH = 4
VISIBLE_IDENTITIES, INFRARED_IDENTITIES = np.arange(22) % 5, np.arange(9) % 4
IMAGES = ("visible", "infrared")

# The replicas of each process: (first, local).
SPLITS = {
    "one process of one": [(0, 1)],
    "two processes of one": [(0, 1), (1, 1)],
    "one process of two": [(0, 2)],
    "four processes of one": [(0, 1), (1, 1), (2, 1), (3, 1)],
    "two processes of two": [(0, 2), (2, 2)],
    "one process of four": [(0, 4)],
    "processes of one and three": [(0, 1), (1, 3)],
}


def pretraining(shards=WHOLE, first=0, total=7, pair=None, batch_size=BATCH, wait=None, **settings):
    pair = pair or stores()
    recipe = mmgl_recipe(Augmentation(**settings), STRIPES)
    return training_dataset(pair, recipe, image_plan(pair, batch_size, 3), first, total, 2, wait, shards)


def unshared(shards=WHOLE, **arguments):
    return pretraining(shards, share_permutation=False, **arguments)


def finetuning(shards=WHOLE, first=0, total=7, pair=None, sizes=(2, 2), wait=None):
    pair = pair or stores()
    plan = people_plan(pair, (VISIBLE_IDENTITIES, INFRARED_IDENTITIES), *sizes, 3)
    return training_dataset(pair, finetuning_recipe(Augmentation()), plan, first, total, 2, wait, shards)


def evaluation(shards=WHOLE, pair=None, batch_size=BATCH):
    return held_out_dataset(pair or stores(), mmgl_held_out(STRIPES, 2), batch_size, 3, shards=shards)


def elements(dataset):
    made = [{name: value.numpy() for name, value in element.items()} for element in dataset]
    assert len(made) == dataset.cardinality()
    return made


def put_together(processes):
    """Whole batches of the elements of each process; processes is [(local, elements), ...] in order."""
    steps = {len(made) // local for local, made in processes}
    assert len(steps) == 1
    whole = []
    for step in range(steps.pop()):
        parts = [part for local, made in processes for part in made[step * local : (step + 1) * local]]
        batch = {name: np.concatenate([part[name] for part in parts]) for name in IMAGES}
        for name in parts[0].keys() - set(IMAGES):
            halves = [np.split(part[name], 2) for part in parts]
            batch[name] = np.concatenate([half[modality] for modality in (0, 1) for half in halves])
        whole.append(batch)
    return whole


@pytest.fixture(scope="module")
def whole():
    kinds = (pretraining, unshared, finetuning, evaluation)
    return {kind: elements(kind()) for kind in kinds}


@pytest.mark.parametrize("kind", [pretraining, unshared, finetuning, evaluation])
@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_the_parts_put_together_are_the_whole_batch_bit_for_bit(whole, kind, split):
    total = sum(local for _, local in split)
    processes = [(local, elements(kind(Shards(first, local, total)))) for first, local in split]
    for _, made in processes:
        assert {len(part["visible"]) for part in made} == {BATCH // total}
    assert_same(put_together(processes), whole[kind])


def test_the_cases_above_are_not_all_alike(whole):
    """Else nothing would be shown by them: no two rows agree, padding and unshared orders occur."""
    for made in whole.values():
        for name in IMAGES:
            rows = np.concatenate([batch[name] for batch in made]).reshape(-1, HEIGHT * WIDTH * 3)
            rows = rows[rows.any(axis=1)]
            assert len(np.unique(rows, axis=0)) > 0.9 * len(rows)
    weights = [batch["weight"] for batch in whole[evaluation]]
    assert any(0 < weight[BATCH:].sum() < BATCH for weight in weights)
    assert any(0 < weight[:BATCH].sum() == BATCH and not weight[BATCH:].any() for weight in weights)
    orders = whole[unshared][0]["permutation"]
    assert not np.array_equal(orders[:BATCH], orders[BATCH:])


@pytest.mark.parametrize("kind", [pretraining, finetuning])
def test_a_resumed_run_goes_on_where_it_was_also_on_other_replicas(whole, kind):
    for first in (2, 6):  # within the first epoch and the second
        one_process = [(2, elements(kind(Shards(0, 2, 2), first=first)))]
        assert_same(put_together(one_process), whole[kind][first:])
    two_processes = [(2, elements(kind(Shards(replica, 2, 4), first=5))) for replica in (0, 2)]
    assert_same(put_together(two_processes), whole[kind][5:])
    assert elements(kind(Shards(0, 2, 2), first=7)) == []


def test_shapes_and_length_are_static():
    for kind, names in (
        (pretraining, {"permutation": (4, STRIPES)}),
        (finetuning, {"labels": (4,)}),
        (evaluation, {"permutation": (4, STRIPES), "weight": (4,), "index": (4,)}),
    ):
        dataset = kind(Shards(0, 2, 2))
        found = {name: tuple(spec.shape) for name, spec in dataset.element_spec.items()}
        assert found == {**dict.fromkeys(IMAGES, (2, HEIGHT, WIDTH, 3)), **names}
    assert pretraining(Shards(1, 1, 2), first=2).cardinality() == 5
    assert finetuning(Shards(0, 2, 4), first=2).cardinality() == 10
    assert evaluation(Shards(0, 2, 2)).cardinality() == 2 * evaluation().cardinality() == 22


def test_a_timed_dataset_has_the_same_parts_and_a_batch_has_come_with_the_last_of_them(whole, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    for kind in (pretraining, finetuning):
        wait = DataWait()
        dataset = kind(Shards(0, 2, 2), wait=wait)
        assert_same(put_together([(2, elements(dataset))]), whole[kind])
        assert wait.batches == 0, "nobody asked"
        parts = iter(dataset)
        for batches in (1, 2):
            wait.requested()
            next(parts)
            assert (wait.batches, wait.seconds) == (batches - 1, batches - 1)
            next(parts)
            assert (wait.batches, wait.seconds) == (batches, batches)


class Recorded:
    """A store that remembers which images were read."""

    def __init__(self, store):
        self.usable, self._store, self._lock, self.read = store.usable, store, threading.Lock(), []

    def __len__(self):
        return len(self._store)

    def __getitem__(self, index):
        with self._lock:
            self.read.append(index)
        return self._store[index]


def reads(kind, shards, pair):
    """Sorted positions of each modality that one pass over the dataset reads."""
    pair = [Recorded(store) for store in pair]
    dataset = kind(shards, pair=pair)
    for store in pair:
        store.read.clear()  # the size of the images is found out from one of them
    elements(dataset)
    return [sorted(store.read) for store in pair]


@pytest.mark.parametrize("replica", [0, 1])
def test_only_the_images_of_the_own_rows_are_read(replica):
    mine = slice(2 * replica, 2 * replica + 2)
    shards = Shards(replica, 1, 2)

    def expected(plan_of_epoch, steps_per_epoch):
        plans = [plan_of_epoch(step // steps_per_epoch) for step in range(7)]
        return [
            sorted(
                index for step in range(7) for index in plans[step][modality][step % steps_per_epoch][mine]
            )
            for modality in (0, 1)
        ]

    found = reads(pretraining, shards, stores())
    assert found == expected(lambda epoch: pretraining_plan(22, 9, BATCH, 3, epoch), 5)
    assert found != reads(pretraining, Shards(1 - replica, 1, 2), stores())

    identities = VISIBLE_IDENTITIES, INFRARED_IDENTITIES
    found = reads(finetuning, shards, stores())
    assert found == expected(lambda epoch: identity_plan(*identities, 2, 2, 3, epoch, 6), 6)

    # Each image twice in a row: batch k shows images 2k and 2k + 1, one for each replica.
    found = reads(evaluation, shards, stores())
    assert found == [sorted(2 * list(range(replica, number, 2))) for number in (22, 9)]


def test_images_from_disk_are_shared_likewise(tmp_path):
    samples = write_images(tmp_path / "images", 10)
    pairs = [[sample for sample in samples if sample.modality == modality] for modality in (0, 1)]
    pair = [open_(chosen, tmp_path / str(modality)) for modality, chosen in enumerate(pairs)]

    def make(shards=WHOLE):
        return elements(pretraining(shards, total=3, pair=pair, augmix_modalities="visible"))

    made = make()
    assert made[0]["visible"].shape == (4, FILE_HEIGHT, FILE_WIDTH, 3)
    assert_same(put_together([(2, make(Shards(0, 2, 4))), (2, make(Shards(2, 2, 4)))]), made)


_DEALING = """
import sys
sys.path[:0] = [".", "tests/pipelines"]
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from tests.pipelines.batches.test_shards import pretraining
from mmgl_tf.pipelines.batches.shards import Shards
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
dealt = iter(strategy.distribute_datasets_from_function(lambda context: pretraining(Shards(0, 2, 2))))
right = 0
for whole in pretraining():  # to the end, right or wrong: an iterator left half-way can keep a process alive
    replicas = strategy.experimental_local_results(next(dealt)["visible"])
    parts = [part.numpy() for part in replicas]
    right += len(parts) == 2 and np.array_equal(np.concatenate(parts), whole["visible"])
print(right, "steps dealt right")
"""


@pytest.mark.slow
def test_a_strategy_deals_the_parts_to_the_replicas_of_their_rows():
    run = subprocess.run([sys.executable, "-c", _DEALING], capture_output=True, text=True, timeout=300)
    assert run.stdout.split("\n")[-2:-1] == ["7 steps dealt right"], run.stderr[-3000:]


def test_batches_that_cannot_be_shared_evenly_are_refused_at_once():
    for kind in (pretraining, evaluation):
        with pytest.raises(
            ValueError,
            match=r"3 replicas cannot share a batch of 4 images per modality evenly; expected a multiple of "
            "3. Set --batch_size to 3 or 6, or train on fewer GPUs or workers",
        ):
            kind(Shards(0, 1, 3))
        with pytest.raises(ValueError, match="Set --batch_size to 8, or"):
            kind(Shards(0, 1, 8))
    with pytest.raises(
        ValueError,
        match=r"4 replicas cannot share a batch of 6 .* Set --identities_per_batch times "
        "--images_per_identity to 4 or 8, or",
    ):
        finetuning(Shards(0, 1, 4), sizes=(3, 2))


@pytest.mark.parametrize("replicas", [(-1, 1, 2), (0, 0, 2), (0, 3, 2), (2, 1, 2)])
def test_replicas_outside_the_total_are_refused(replicas):
    with pytest.raises(ValueError, match=r"expected first >= 0, local >= 1 and first \+ local <= total"):
        Shards(*replicas)


def test_memory_of_a_kept_part_is_not_handed_out_again():
    """Parts of several replicas are kept ready at once; none may be written over."""
    kept = list(pretraining(Shards(0, 4, 4), total=10))
    assert_same(
        [{name: value.numpy() for name, value in part.items()} for part in kept],
        elements(pretraining(Shards(0, 4, 4), total=10)),
    )


def test_an_unusable_image_is_drawn_by_nobody():
    pair = FakeStore(22, usable=range(3, 20)), stores()[1]  # FakeStore refuses others
    parts = [(1, elements(pretraining(Shards(replica, 1, 2), pair=pair))) for replica in (0, 1)]
    assert_same(put_together(parts), elements(pretraining(pair=pair)))
