"""Settings of the PSL-style method."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.methods.shared.tile_puzzles import TilePuzzles
from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Psl:
    """PSL-style: jigsaw puzzles of growing difficulty on ever deeper parts of the network (Li et al. 2021).

    The authors' code is not public; this follows their abstract alone.
    """

    TITLE: ClassVar = "PSL-style"
    COST: ClassVar = 2.1
    NOTE: ClassVar = "after the abstract alone, as no code is public"
    READS: ClassVar = ("tile_puzzles",)
    IMAGES: ClassVar = ("flips", "held_out_orders")
    TINY: ClassVar = TilePuzzles.TINY | {"psl_permutations": 4}
    # Three stages need three epochs at least.
    PRESETS: ClassVar = TilePuzzles.PRESETS | {
        "smoke": TilePuzzles.PRESETS["smoke"] | {"epochs": 4, "steps_per_epoch": 8}
    }
    RECIPES: ClassVar = TilePuzzles.RECIPES

    psl_permutations: int = setting(
        1000, "number of tile orders to tell apart in the third stage", low=2, high=1000, paper="silent"
    )
    psl_first_share: float = setting(0.25, "first stage's share of the epochs", low=0.0, high=1.0)
    psl_second_share: float = setting(
        0.25, "second stage's share of the epochs; the third stage has the rest", low=0.0, high=1.0
    )
    psl_freeze: str = setting(
        "slow",
        "how the blocks that an earlier stage trained go on learning: none = as all others, slow = at a "
        "tenth of the learning rate, hard = not at all",
        choices=("none", "slow", "hard"),
        paper="silent",
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        problems, epochs = [], config.optimization.epochs
        if epochs < 3:
            problems.append(f"--epochs={epochs}: --method=psl has three stages of an epoch at least each")
        first, second = config.psl.psl_first_share, config.psl.psl_second_share
        if first + second >= 1.0:
            problems.append(
                f"--psl_first_share={first} --psl_second_share={second} leave nothing of the run to the "
                "third stage; their sum must be below 1"
            )
        return problems
