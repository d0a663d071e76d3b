"""The experiments, by name. Flags are those of main.py; what is not said is the preset's.

The paper's numbers are per cent on SYSU-MM01, single-shot; its seeds and their spread are not known.
"""

from experiments.cell import Arm, Experiment
from experiments.methods_and_starts import IMAGENET as IMAGENET
from experiments.methods_and_starts import table_2_arms, table_3_arms, table_4_arms
from experiments.paper_tables import FAIL, TABLE_6, TABLE_7, TABLE_8, table_2, table_5
from experiments.short_schedules import LAST, shortened
from mmgl_tf.retrieval.published import DIRECTIONS


def start_against_start(method, pretrain):
    """Random, MMGL, and random given the pre-training's time, all with one method."""
    chosen = {"method": method}
    return Experiment(
        f"Does pre-training help {method}? Equal steps of fine-tuning (rows 1, 2), equal compute (2, 3).",
        (
            Arm("random", None, chosen, paper=table_2(method, "random")),
            Arm("MMGL", pretrain, chosen, paper=table_2(method, "mmgl")),
            Arm("random, time of pre-training added", None, chosen, partner="MMGL", spends=pretrain),
        ),
        reference="random",
        paper=f"Table II, {method} on SYSU-MM01" if table_2(method, "mmgl") else "",
    )


def two_starts(name, finetune):
    """Random and MMGL with the same fine-tuning; MMGL is compared with that random."""
    return (
        Arm(f"random, {name}", None, finetune),
        Arm(f"MMGL, {name}", {}, finetune, partner=f"random, {name}"),
    )


def sweep(setting, numbers, everywhere=None):
    """An arm for each value of a pre-training setting, with the paper's Rank-1 and mAP beside it."""
    everywhere = everywhere or {}
    return tuple(
        Arm(
            f"{setting} {value}",
            {setting: value} | everywhere,
            everywhere,
            paper={"all": dict(zip(("rank1", "mAP"), pair, strict=True)) if pair else FAIL},
        )
        for value, pair in numbers.items()
    )


def head_arms():
    """PCC's head in four forms, with PCC and, as its partner, without."""
    arms = []
    for shared in (True, False):
        for norm in (False, True):
            head = {"pcb_shared": shared, "pcb_bn": norm}
            name = f"{'shared' if shared else 'unshared'} {'with' if norm else 'without'} BN"
            arms.append(Arm(f"{name}, no PCC", head | {"pcc": False}))
            arms.append(Arm(f"{name}, PCC", head, partner=f"{name}, no PCC"))
    return tuple(arms)


def triplet_arms():
    """two_stream's loss as its authors have it, and what may keep its features from falling into a point."""
    length = {"epochs": 3, "steps_per_epoch": 100, "warmup_epochs": 0.3}
    remedies = {
        "as released": {},
        "soft margin": {"batch_hard_form": "soft"},
        "unit features": {"batch_hard_features": "unit"},
    }
    others = {
        "a tenth of the rate": {"learning_rate": 0.01},
        "half of it warm-up": {"warmup_epochs": 1.5},
        "no triplet loss": {"triplet_weight": 0.0},
    }
    arms = []
    for backbone, changes in (("resnet10", remedies | others), ("resnet50", remedies)):
        chosen = length | {"method": "two_stream", "backbone": backbone}
        first = f"{backbone}, as released"
        arms += [Arm(f"{backbone}, {name}", None, chosen | own, first) for name, own in changes.items()]
    return tuple(arms)


WITHOUT_LEARNING = (Arm("chance", untrained="chance"), Arm("HOG", untrained="hog"))

EXPERIMENTS = {
    "demo": Experiment(
        "One seed of the main comparison; `make demo` prints it.",
        (*WITHOUT_LEARNING, *start_against_start("two_stream", {}).arms),
        reference="random",
        max_seeds=1,
    ),
    "main": start_against_start("two_stream", {}),
    "main_one_stream": start_against_start("one_stream", {"stream": "one"}),
    "main_agw": start_against_start("agw", {}),
    "trunk_rate": Experiment(
        "Learning rate of the trunk over that of the heads; the baselines' code has 0.1.",
        tuple(
            arm
            for rate in (0.1, 1.0)
            for arm in two_starts(f"trunk x{rate:g}", {"method": "two_stream", "trunk_lr_multiplier": rate})
        ),
    ),
    "longer": Experiment(
        "Both starts with schedules of 10 and 40 epochs, each annealed to its end: does the "
        "difference last until longer training no longer helps?",
        tuple(
            arm
            for epochs in (10, 40)
            for arm in two_starts(f"{epochs} epochs", {"method": "two_stream", "epochs": epochs})
        ),
    ),
    "table2": shortened(
        Experiment(
            "Does MMGL help every fine-tuning method, and which of them fail without it?",
            table_2_arms(),
            paper="Table II, SYSU-MM01",
            evaluations=tuple(
                {"search": search, "shots": shots} for search in ("all", "indoor") for shots in (1, 10)
            ),
        )
    ),
    "table3": shortened(
        Experiment(
            "The same on RegDB's split, with starts from SYSU-MM01: one pre-training for all trials.",
            table_3_arms(),
            paper="Table III, RegDB",
            evaluations=tuple({"direction": direction} for direction in DIRECTIONS),
            by_trial=True,
        )
    ),
    "table4": shortened(
        Experiment(
            "What MMGL is compared with: every pre-training method, as many steps each.",
            table_4_arms(),
            reference="MMGL",
            paper="Table IV, AGW on SYSU-MM01",
        )
    ),
    "table5": shortened(
        Experiment(
            "Which loss earns what.",
            (
                Arm("random", paper=table_5("random")),
                Arm("permutation", {"part": False, "pcc": False}, paper=table_5("permutation")),
                Arm(
                    "permutation + part",
                    {"pcc": False},
                    partner="permutation",
                    paper=table_5("permutation + part"),
                ),
                Arm(
                    "permutation + PCC",
                    {"part": False},
                    partner="permutation",
                    paper=table_5("permutation + PCC"),
                ),
                Arm("all", {}, partner="permutation + part", paper=table_5("all")),
            ),
            reference="random",
            paper="Table V, AGW on SYSU-MM01",
        )
    ),
    "single_losses": shortened(
        Experiment(
            "One loss alone; not in the paper.",
            (
                Arm("permutation", {"part": False, "pcc": False}, LAST),
                Arm("part", {"permutation": False, "pcc": False}, LAST),
                Arm("PCC", {"permutation": False, "part": False}, LAST),
            ),
            reference="permutation",
        )
    ),
    "table6": shortened(
        Experiment(
            "Number of stripes, as far as the demo's six rows of the feature map can be divided.",
            sweep("num_stripes", {stripes: TABLE_6[stripes] for stripes in (2, 3, 6)}),
            reference="num_stripes 6",
            paper="Table VI, AGW on SYSU-MM01",
        )
    ),
    "table6_tall": Experiment(
        "Number of stripes on images of 288 rows: 18 rows of the feature map, as in the paper; three times "
        "the cost of the demo's 96.",
        sweep("num_stripes", TABLE_6, {"image_height": 288}),
        reference="num_stripes 6",
        paper="Table VI, AGW on SYSU-MM01",
    ),
    "table7": shortened(
        Experiment(
            "Temperature of the contrast, Eq. 6.",
            sweep("nce_tau", TABLE_7),
            reference="nce_tau 0.07",
            paper="Table VII, AGW on SYSU-MM01",
        )
    ),
    "table8": shortened(
        Experiment(
            "Weight of the contrast, lambda of Eq. 7.",
            sweep("pcc_weight", TABLE_8),
            reference="pcc_weight 0.2",
            paper="Table VIII, AGW on SYSU-MM01",
        )
    ),
    "heads": shortened(
        Experiment(
            "PCC's head: one for all stripes or one each, with and without batch norm. PCC's effect is the "
            "difference to the same head without PCC.",
            head_arms(),
            reference="shared without BN, no PCC",
        )
    ),
    "negatives": shortened(
        Experiment(
            "Negatives of the contrast, each against the same network without the contrast.",
            (
                Arm("no PCC", {"pcc": False}),
                *(
                    Arm(f"negatives {sets}", {"pcc_negatives": sets}, partner="no PCC")
                    for sets in ("cross", "both_sets", "forward_only")
                ),
            ),
            reference="no PCC",
        )
    ),
    "triplet": Experiment(
        "Does the baselines' triplet loss draw all features into a point, and what prevents it? From random "
        "weights, 300 steps of two_stream.",
        triplet_arms(),
        endings=(
            "loss/triplet",
            "accuracy/triplet",
            "embedding/spread",
            "loss/identity",
            "accuracy/identity",
        ),
    ),
    "perm_loss": shortened(
        Experiment(
            "What Eq. 4 compares: matrices or ranks.",
            (Arm("matrix", {"perm_loss": "matrix"}), Arm("rank", {"perm_loss": "rank"})),
            reference="matrix",
        )
    ),
    "attempts": shortened(
        Experiment(
            "Can the contrast be made to help? Attempts against the position shortcut, and with harder "
            "negatives; each against the same network without the contrast.",
            (
                Arm("no PCC", {"pcc": False}),
                Arm("PCC as in the paper", {}),
                Arm("slot means removed", {"pcc_centre": "slot"}),
                Arm("other slots only", {"pcc_universe": "other_slots"}),
                Arm("by body part", {"pcc_own_set": "part"}),
                Arm("PCC from epoch 3 on", {"pcc_start_epoch": 3}),
            ),
            reference="no PCC",
        )
    ),
}
