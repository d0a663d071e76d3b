"""The command line of the experiments: `python -m experiments NAME`."""

import argparse
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

try:
    import absl  # noqa: F401
except ModuleNotFoundError:
    sys.exit(
        "error: the packages are not installed; run `make install`, then use .venv/bin/python -m experiments"
    )

from experiments import stage_files
from experiments.catalogue import EXPERIMENTS, IMAGENET
from experiments.cell import cells_of
from experiments.estimates import Estimates, clock
from experiments.pretext import closing_words
from experiments.results import Selection
from experiments.running import MAIN, Engine
from experiments.settings import outdated, parse
from experiments.tables import table
from mmgl_tf.flags.presets import PRESETS


def main(argv=None):
    """Run, list or show experiments.

    Args:
        argv: words of the command line without the program, or None for the process's own.

    Returns:
        Exit status.
    """
    arguments = _parser().parse_args(argv)
    if hasattr(signal, "SIGPIPE") and (
        arguments.list or arguments.table
    ):  # `| head` may close the pipe early
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        return _act(arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _act(arguments):
    seeds, extra = _seeds(arguments.seeds), parse(arguments.flags)
    unknown = sorted(set(arguments.names) - set(EXPERIMENTS))
    if unknown:
        raise ValueError(f"unknown experiment {', '.join(unknown)}; choose from {', '.join(EXPERIMENTS)}")

    finetune_extra = parse(arguments.finetune_flags, "finetune_flags")
    starts = {IMAGENET: arguments.imagenet}
    experiments = {name: experiment.with_starts(starts) for name, experiment in EXPERIMENTS.items()}

    def cells(name):
        of = experiments[name]
        return cells_of(of, seeds, arguments.preset, extra, arguments.root, finetune_extra)

    if arguments.list:
        for name in arguments.names or EXPERIMENTS:
            try:
                print(_listed(name, cells(name), arguments.lanes))
            except ValueError as error:  # for one experiment only, such as stripes that do not fit
                print(f"{name:16} cannot run with these flags: {error}")
        return 0
    if not arguments.names:
        raise ValueError(f"which experiment? One or more of {', '.join(EXPERIMENTS)}, or --list")
    _refuse_outdated([stage for name in arguments.names for cell in cells(name) for stage in cell.stages])
    status = 0
    if not arguments.table:
        # One engine for all names: a pre-training that two of them need is then the first thing done.
        stages = [stage for name in arguments.names for cell in cells(name) for stage in cell.stages]
        status = Engine(stages, arguments.lanes, say=_say).run()
    if status < 128:  # not where somebody asked to stop
        for name in arguments.names:
            selection = Selection(
                arguments.search,
                arguments.shots,
                arguments.feature,
                arguments.weights or EXPERIMENTS[name].weights,
                arguments.direction,
                arguments.dataset,
            )
            if arguments.pictures:
                for words in closing_words(cells(name)):
                    print(f"\npre-training in {words}", end="")
            for evaluation in experiments[name].evaluations:
                chosen = replace(selection, **evaluation)
                print(f"\n{table(name, experiments[name], cells(name), chosen)}")
            print(f"\n`{_command(name, arguments)}`")
            if arguments.pictures:
                status = _draw(name, cells(name), arguments.root) or status
    return status


def _draw(name, cells, root):
    """Pictures of the first seed's runs side by side, by main.py --mode=visualize; its exit status."""
    shown = [cell for cell in cells if cell.seed == cells[0].seed and not cell.arm.untrained]
    shown = [cell for cell in shown if (stage_files.read_done(cell.stages[-2]) or {}).get("status") == 0]
    if not shown:
        return 0
    names = ",".join(cell.arm.name.replace(",", ";") for cell in shown)
    words = [
        "--mode=visualize",
        f"--init={','.join(cell.run.as_posix() for cell in shown)}",
        f"--run_names={names}",
        f"--workdir={(root / f'visualize-{name}').as_posix()}",
    ]
    print(flush=True)
    return subprocess.run([*MAIN, *words]).returncode


def _command(name, arguments):
    """What to type to get this table again."""
    words = [f"--seeds={arguments.seeds}", f"--preset={arguments.preset}"]
    for option in ("flags", "finetune_flags", "imagenet"):
        value = getattr(arguments, option)
        words += [f"--{option.replace('_', '-')}={shlex.quote(value)}"] if value else []
    plain = _parser().parse_args([])
    for option in ("search", "shots", "feature", "weights", "direction", "dataset"):
        value = getattr(arguments, option)
        words += [f"--{option}={value}"] if value != getattr(plain, option) else []
    return f"python -m experiments {name} {' '.join(words)}"


def _listed(name, cells, lanes):
    """Lines about one experiment: runs in all, still to do, time."""
    stages = list({stage.directory: stage for cell in cells for stage in cell.stages}.values())
    left = [stage for stage in stages if stage_files.read_done(stage) is None]
    runs = [stage for stage in stages if stage.mode != "eval"]
    runs_left = [stage for stage in left if stage.mode != "eval"]
    estimates = Estimates(stages)
    if not left:
        time_left = "about nothing left"
    elif estimates.knows(left):
        time_left = f"about {clock(estimates.left(left, [], lanes))} left"
    else:
        time_left = f"how long is not known before some of --preset={left[0].preset} have run"
    return (
        f"{name:16} {len(cells)} cells, {len(runs)} runs, {len(runs_left)} to do, {time_left}\n"
        f"{'':16} {EXPERIMENTS[name].about}"
    )


def _refuse_outdated(stages):
    """Runs of other defaults under today's names must not be mixed with today's."""
    problems = []
    for stage in {stage.directory: stage for stage in stages if stage.mode != "eval"}.values():
        for setting, was, now in outdated(stage):
            problems.append(f"  {stage.directory}: {setting} was {was!r}, is now {now!r}")
    if problems:
        raise ValueError(
            "runs on disk were made with other defaults than today's:\n"
            + "\n".join(problems)
            + "\nDelete these directories to make them anew, or choose another --root."
        )


def _seeds(text):
    """ "3" -> 0, 1, 2; "4,7" -> 4, 7."""
    try:
        numbers = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or (numbers == [0] and "," not in text):
        raise ValueError(f"--seeds={text!r}; give how many (3), or which (0,4; a single one as 4,)")
    return numbers if "," in text else range(numbers[0])


def _say(text):
    """Show a line now, also where the output is a file that somebody watches."""
    print(text, flush=True)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--seeds", default="3", help="how many (3), or which (0,4)")
    parser.add_argument("--lanes", type=int, default=2, help="runs at once, one core each")
    parser.add_argument("--preset", default="demo", choices=tuple(PRESETS))
    parser.add_argument("--root", type=Path, default=Path("runs/experiments"), help="directory of all runs")
    parser.add_argument("--flags", default="", help='settings for every run, e.g. "--world_seed=1"')
    parser.add_argument(
        "--finetune-flags",
        default="",
        help='over these, settings for fine-tunings and evaluations, e.g. "--dataset=regdb --data_dir=DIR"',
    )
    parser.add_argument(
        "--imagenet", default="", help="an import of ImageNet's weights: adds the arms that start from them"
    )
    parser.add_argument("--list", action="store_true", help="show the catalogue and what is left to do")
    parser.add_argument("--table", action="store_true", help="print what is on disk, run nothing")
    parser.add_argument(
        "--pictures", action="store_true", help="show what the first seed's pre-training said; draw its runs"
    )
    shown = parser.add_argument_group("which evaluation the table shows")
    shown.add_argument("--search", default="all", choices=("all", "indoor"))
    shown.add_argument("--shots", type=int, default=1, choices=(1, 10))
    shown.add_argument("--feature", default="", help="e.g. pool; default the first that a method has")
    shown.add_argument("--weights", default="", choices=("", "last", "best"), help="default the experiment's")
    shown.add_argument(
        "--direction", default="", help="e.g. infrared_to_visible; default the protocol's first"
    )
    shown.add_argument("--dataset", default="", help="directory below RUN/eval/; default the only one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
