"""Arms of the paper's Tables II, III and IV: fine-tuning methods, and what they start from."""

from experiments.cell import Arm
from experiments.paper_tables import table_2, table_3, table_4
from experiments.short_schedules import LAST
from mmgl_tf.flags.config import defaults
from mmgl_tf.flags.methods import FINETUNING, PRETRAINING, stream, title
from mmgl_tf.retrieval.published import DIRECTIONS

# The option of the command line that says where ImageNet's weights are.
IMAGENET = "--imagenet"
TITLES = {name: title(name, defaults()) for name in PRETRAINING | FINETUNING}
# Pre-trainings that are told who is on an image: today one, of visible images.
LABELLED = [name for name, settings in PRETRAINING.items() if getattr(settings, "WITH_IDENTITIES", False)]
IN_DOMAIN = "it is told who is on its images, which show the same people; no stand-in for ImageNet"
OTHER_PEOPLE = "it is told who is on its images, which show other people; no stand-in for ImageNet"


def starts_of(method, finetune, paper, labelled=IN_DOMAIN):
    """A fine-tuning method from every start of Tables II and III; random is the partner of all.

    Args:
        method: its name.
        finetune: {setting: value} of every fine-tuning.
        paper: function start -> what `Arm.paper` is to be.
        labelled: a remark on starts that were told who is who.
    """
    own = getattr(FINETUNING[method], "NOTE", "")
    kind = {"stream": stream(method)}
    name, chosen = TITLES[method], LAST | finetune | {"method": method}
    random = f"{name}, random"
    given = {"stem_from": "visible"} if stream(method) == "one" else {}  # both stems of an import are alike
    return (
        Arm(random, None, chosen, paper=paper("random"), note=own),
        Arm(f"{name}, ImageNet", None, chosen | given, random, paper=paper("imagenet"), init=IMAGENET),
        *(
            Arm(f"{name}, {TITLES[start]}", kind | {"method": start}, chosen, random, note=labelled)
            for start in LABELLED
        ),
        Arm(f"{name}, MMGL", kind | {"method": "mmgl"}, chosen, random, paper=paper("mmgl")),
    )


def table_2_arms():
    """Every fine-tuning method from every start."""
    arms = []
    for method in FINETUNING:

        def paper(start, method=method):
            single, multi = (table_2(method, start, shots) for shots in (1, 10))
            return single | {f"{search} 10": numbers for search, numbers in multi.items()}

        arms += starts_of(method, {}, paper)
    return tuple(arms)


def table_3_arms():
    """The same, fine-tuned on RegDB, or on the drawn world in its layout."""
    arms = []
    for method in FINETUNING:

        def paper(start, method=method):
            return {
                direction: numbers
                for direction in DIRECTIONS
                if (numbers := table_3(method, start, direction))
            }

        arms += starts_of(method, {"world_layout": "regdb"}, paper, OTHER_PEOPLE)
    return tuple(arms)


def table_4_arms():
    """Every pre-training method, each with AGW and with two_stream behind it; MMGL is the partner of all."""
    arms = []
    for method in ("agw", "two_stream"):
        behind = "" if method == "agw" else ", two_stream"
        chosen = LAST | {"method": method}
        paper = table_4 if method == "agw" else lambda start: {}
        note = "" if behind else "Table IV has no row of random weights; the paper's numbers are Table II's"
        partner = f"MMGL{behind}"
        arms.append(Arm(f"random{behind}", None, chosen, partner, paper=paper("random"), note=note))
        for start, kind in PRETRAINING.items():
            name = TITLES[start] + behind
            note = getattr(kind, "NOTE", "")
            arms.append(Arm(name, {"method": start}, chosen, partner, paper=paper(start), note=note))
        # Two views are twice as many images a step: MMGL with as many images has twice the steps.
        name = f"MMGL, equal images{behind}"
        arms.append(Arm(name, {"method": "mmgl"}, chosen, partner, pretraining_times=2.0))
    return tuple(arms)
