"""Settings of the PSL-style method."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.methods.jigsaw import Jigsaw
from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Psl:
    """PSL-style: jigsaw puzzles of growing difficulty on ever deeper parts of the network (Li et al. 2021).

    The authors' code is not public; this follows their abstract alone.
    """

    TITLE: ClassVar = "PSL-style"
    NOTE: ClassVar = "after the abstract alone, as no code is public"
    READS: ClassVar = ("jigsaw",)
    TINY: ClassVar = {"psl_permutations": 4, "jigsaw_permutations": 4, "jigsaw_hidden_size": 8}
    # Three stages need three epochs at least.
    PRESETS: ClassVar = Jigsaw.PRESETS | {
        "smoke": Jigsaw.PRESETS["smoke"] | {"epochs": 4, "steps_per_epoch": 8}
    }
    RECIPES: ClassVar = Jigsaw.RECIPES

    psl_permutations: int = setting(1000, "orders of the third stage", low=2, high=1000, paper="silent")
    psl_first_share: float = setting(0.25, "share of the run that the first stage has", low=0.0, high=1.0)
    psl_second_share: float = setting(0.25, "share of the run that the second stage has", low=0.0, high=1.0)
    psl_freeze: str = setting(
        "slow",
        "what earlier stages' blocks do in later ones: learn as all, at a tenth of the rate, or not at all",
        choices=("none", "slow", "hard"),
        paper="silent",
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        problems, epochs = Jigsaw.problems(config), config.optimization.epochs
        if epochs < 3:
            problems.append(f"--epochs={epochs}: --method=psl has three stages of an epoch at least each")
        first, second = config.psl.psl_first_share, config.psl.psl_second_share
        if first + second >= 1.0:
            problems.append(
                f"--psl_first_share={first} --psl_second_share={second} leave nothing of the run to the "
                "third stage; their sum must be below 1"
            )
        return problems
