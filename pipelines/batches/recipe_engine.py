"""Carries any recipe out for the images of some rows: the one place where views and targets are made."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmgl_tf.pipelines.augmentation.chain import Chain
from mmgl_tf.pipelines.augmentation.operation import Size
from mmgl_tf.pipelines.augmentation.working_memory import working_memory
from mmgl_tf.pipelines.batches.buffer_pool import BufferPool
from mmgl_tf.pipelines.batches.recipe import Recipe, View
from mmgl_tf.pipelines.batches.worker_threads import WorkerThreads
from mmgl_tf.pipelines.layouts import LAYOUTS
from mmgl_tf.pipelines.layouts.layout import WholeLayout
from mmgl_tf.pipelines.random_plan import Draws, view_stream

# (modality, row) -> uint8 [H, W, 1 or 3]; called by many threads at once.
Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class _Prepared:
    """A view with everything that does not change from batch to batch."""

    view: View
    chain: Chain
    layout: WholeLayout


def rows_by_modality(recipe: Recipe, size: Size) -> dict[str, tuple[int, ...]]:
    """Whose images the tensors of a batch have rows of: {name: modalities, ascending}.

    Args:
        recipe: what a batch consists of.
        size: (H, W) of the stored images.
    """
    found = {view.name: (view.modality,) for view in recipe.views}
    if recipe.layout:
        view = recipe.first_view(recipe.views[0].modality)
        shape = (view.height or size[0], view.width or size[1])
        targets = LAYOUTS[type(recipe.layout)](recipe.layout, shape).targets
        found |= {name: _shown(recipe, spec) for name, spec in targets.items()}
    wanted = {"labels": recipe.labelled, "rows": recipe.numbered}
    return found | {name: recipe.modalities for name, wants in wanted.items() if wants}


def _shown(recipe, spec):
    return tuple(modality for modality in recipe.modalities if modality in spec.modalities)


class RecipeEngine:
    """Views and layout targets of a recipe; labels and rows are not its affair.

    An image is read once and goes through the chains of all views of its modality.

    Args:
        recipe: what is wanted.
        size: (H, W) of the images that are read.
        threads: see `WorkerThreads`.

    Raises:
        ValueError: see `Chain` and the layouts; or an operation on the normalised image, such as erasing, is
            asked of a view whose layout moves its pixels about.
    """

    def __init__(self, recipe: Recipe, size: Size, threads: int = 0):
        self.recipe = recipe
        self._threads = WorkerThreads(threads)
        self._views: dict[int, list[_Prepared]] = {modality: [] for modality in recipe.modalities}
        self._layout = None
        for view in recipe.views:
            shape = (view.height or size[0], view.width or size[1])
            first = view == recipe.first_view(view.modality)
            kind = LAYOUTS[type(recipe.layout)] if first and recipe.layout else WholeLayout
            prepared = _Prepared(view, Chain(view.chain, size, shape), kind(recipe.layout, shape))
            if prepared.chain.finishes and not prepared.layout.keeps_places:
                raise ValueError(
                    f"View {view.name!r} is cut into tiles; no operation on the normalised image, such as "
                    "erasing, can follow. Take it out of the chain."
                )
            self._views[view.modality].append(prepared)
            if first and self._layout is None:
                self._layout = prepared.layout
        self._targets = {name: (spec, _shown(recipe, spec)) for name, spec in self._layout.targets.items()}
        self._pools: dict[tuple, BufferPool] = {}

    def specs(self, rows: int) -> dict[str, tuple[tuple[int, ...], type]]:
        """Name -> (shape, dtype) of what a call with `rows` images per modality returns."""
        views = {
            prepared.view.name: ((rows, *prepared.layout.row_shape), np.float32)
            for part in self._views.values()
            for prepared in part
        }
        return views | {
            name: ((rows * len(shown), *spec.row), spec.dtype)
            for name, (spec, shown) in self._targets.items()
        }

    def __call__(
        self, draws: dict[int, Draws], read: Read, shown: dict[int, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Views and targets of n images of each modality that the recipe shows.

        Args:
            draws: the random numbers of the rows, by modality.
            read: where the images come from.
            shown: modality -> bool [n]; rows that show nothing are 0, and are not read. None = all rows do.

        Returns:
            name -> array, as `specs(n)` says. They are used again once nobody refers to them.
        """
        rows = len(draws[self.recipe.modalities[0]])
        made = {name: self._take(name, *spec) for name, spec in self.specs(rows).items()}
        targets = {
            name: {m: made[name][place * rows : (place + 1) * rows] for place, m in enumerate(modalities)}
            for name, (_, modalities) in self._targets.items()
        }
        plans = self._layout.plan(draws, targets)
        jobs = []
        for modality, part in self._views.items():
            job = self._job(modality, part, draws[modality], plans[modality], targets, made, read)
            present = np.ones(rows, bool) if shown is None else shown[modality]
            for row in np.flatnonzero(~present).tolist():
                self._blank(modality, row, made, targets)
            jobs += [(job, row) for row in np.flatnonzero(present).tolist()]
        self._threads.each(lambda job: job[0](job[1]), jobs)
        return made

    def each(self, act: Callable, things) -> None:
        """Calls a function on many things, on the engine's threads."""
        self._threads.each(act, things)

    def forget_buffers(self) -> None:
        """Lets go of memory that was kept for further batches."""
        self._pools = {}

    def _job(self, modality, part, draws, plan, targets, made, read):
        """What is to be done with a row's image, all decisions made."""
        mine = {name: halves[modality] for name, halves in targets.items() if modality in halves}
        steps = []
        for place, prepared in enumerate(part):
            numbers = draws.uniforms(view_stream(modality, prepared.view.stream), prepared.chain.draws)
            of_layout = (plan, mine) if place == 0 else (None, {})
            steps.append(
                (prepared.chain.plan(numbers), prepared.layout, *of_layout, made[prepared.view.name])
            )

        def act(row):
            image, memory = read(modality, row), working_memory()
            for chain, layout, laid, filled, out in steps:
                pixels = chain.act(image, row, memory)
                layout.write(pixels, laid, row, out[row], filled, memory)
                chain.finish(out[row], row, layout.order(laid, row))

        return act

    def _blank(self, modality, row, made, targets):
        for prepared in self._views[modality]:
            made[prepared.view.name][row] = 0.0
        for name, halves in targets.items():
            if modality in halves:
                halves[modality][row] = self._targets[name][0].padding

    def _take(self, name, shape, dtype):
        # By shape: with the replicas served grow the batches that are kept ready, and so the memory in use.
        key = (name, shape)
        if key not in self._pools:
            self._pools[key] = BufferPool(shape, dtype)
        return self._pools[key].take()
