"""Comparisons of many runs: which, run how, shown how.

    python -m experiments --list                      # the catalogue, runs still to do, time they will take
    python -m experiments main --seeds=3              # runs what is missing, then prints the table
    python -m experiments table5 heads --lanes=4      # several at once; what they have in common runs once
    python -m experiments main --table                # the table of what is on disk; runs nothing
    python -m experiments main --flags="--world_seed=1" --root=runs/other_world

An experiment (`catalogue.py`) is a set of arms: how the encoder starts, how it is fine-tuned. An arm and a
seed are a cell (`cell.py`): pre-training, fine-tuning and evaluation, each one call of main.py. Runs are
ordinary run directories below --root, named after their decisions, so that cells and experiments share what
they have in common. `running.py` works through them, one core a lane. Stop it at any time (Ctrl-C, kill,
power cut) and give the same command again: complete stages are skipped, others go on from their checkpoints.
Several engines may share a --root. A fine-tuning that diverges or collapses (exit status 3) is a result, the
paper's "fail"; anything else that ends badly is tried again next time. Each directory has
`.engine/log.txt`, and `.engine/done.json` once it is complete; delete the directory to make the run anew.

`tables.py` prints Markdown: every seed, mean and standard deviation, paired differences, the paper's numbers.
Flags given in --flags go to every stage; an arm's own flags win over them.
"""
