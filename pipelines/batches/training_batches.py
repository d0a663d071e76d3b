"""The training batch of a step, in NumPy: a pure function of the step, whatever the number of threads."""

import functools

import numpy as np

from mmgl_tf.pipelines.batches.plans import BatchPlan
from mmgl_tf.pipelines.batches.recipe import Recipe
from mmgl_tf.pipelines.batches.recipe_engine import RecipeEngine
from mmgl_tf.pipelines.images.image_size import image_size
from mmgl_tf.pipelines.random_plan import Draws


class TrainingBatches:
    """Batches by global step, as a recipe wants them.

    Args:
        stores: (visible, infrared), each an `image_store.ImageStore`, or anything with `usable` and `[i] ->
            uint8 [H, W, 1 or 3]` that threads may read at once; all images of one size. The store of a
            modality that the recipe does not show is not looked at.
        recipe: views and targets.
        plan: which images meet in which step.
        threads: threads that augment; 0 = one per core.

    Raises:
        ValueError: see `RecipeEngine` and `image_size`; or labels are wanted that the plan does not know.
    """

    def __init__(self, stores, recipe: Recipe, plan: BatchPlan, threads: int = 0):
        if recipe.labelled and plan.classes is None:
            raise ValueError(
                "The recipe wants labels, but the plan knows no classes. Make the plan with the images' "
                "identities, which takes a labelled data set."
            )
        self._stores = stores
        self._plan = plan
        self._engine = RecipeEngine(recipe, image_size([stores[m] for m in recipe.modalities]), threads)
        self._all_rows = range(plan.batch_size)
        # Bound here, not on the method: a cache on the class would keep dead stores alive.
        self._epoch = functools.lru_cache(maxsize=2)(plan.epoch)

    def specs(self, rows: int) -> dict[str, tuple[tuple[int, ...], type]]:
        """Name -> (shape, dtype) of a batch of `rows` images per modality."""
        specs = self._engine.specs(rows)
        wanted = {"labels": self._engine.recipe.labelled, "rows": self._engine.recipe.numbered}
        both = rows * len(self._engine.recipe.modalities)
        return specs | {name: ((both,), np.int32) for name, wants in wanted.items() if wants}

    def __call__(self, step: int, rows: range | None = None) -> dict[str, np.ndarray]:
        """The batch of a global step, or some of its rows; nothing is drawn or read for the others.

        Args:
            step: from 0; the epoch is step // plan.steps_per_epoch.
            rows: which rows of each modality, n of 0 to B - 1; None = all, n = B.

        Returns:
            Name -> array by `specs(n)`: views float32, rows of a modality; targets with rows of all
            modalities, the visible ones first. Equal to the same rows of the whole batch bit for bit.
        """
        rows = self._all_rows if rows is None else rows
        epoch, place = divmod(int(step), self._plan.steps_per_epoch)
        draws = Draws(self._plan.seed, epoch, place * self._plan.batch_size + np.array(rows))
        chosen = self.chosen(step, rows)
        batch = self._engine(
            dict.fromkeys(chosen, draws),
            lambda modality, row: self._stores[modality][int(chosen[modality][row])],
        )
        if self._engine.recipe.labelled:
            labels = [self._plan.classes[modality][indices] for modality, indices in chosen.items()]
            batch["labels"] = np.concatenate(labels, dtype=np.int32)
        if self._engine.recipe.numbered:
            halves = [np.array(rows) + half * self._plan.batch_size for half in range(len(chosen))]
            batch["rows"] = np.concatenate(halves, dtype=np.int32)
        return batch

    def chosen(self, step: int, rows: range | None = None) -> dict[int, np.ndarray]:
        """Which images a global step shows.

        Args:
            step: from 0.
            rows: as in a call.

        Returns:
            modality -> int64 [n], positions in its store.
        """
        rows = self._all_rows if rows is None else rows
        epoch, place = divmod(int(step), self._plan.steps_per_epoch)
        plan = self._epoch(epoch)
        return {
            modality: self._stores[modality].usable[plan[modality][place, rows]]
            for modality in self._engine.recipe.modalities
        }
