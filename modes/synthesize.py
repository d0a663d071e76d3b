"""--mode=synthesize: write a drawn data set of any size."""

from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.pipelines.synthetic import synthesize as draw_world


def synthesize(config):
    """Draw the world of the --world_* settings into --workdir.

    Returns:
        0, the exit status.
    """
    print(f"drawing the world of seed {config.world.world_seed} into {config.run.workdir}")
    with ProgressLine("images drawn", "images") as progress:
        draw_world(config.world, config.run.workdir, progress)
    print(
        f"done: {config.run.workdir} has {config.world.world_layout} layout; "
        f"look at {config.run.workdir}/contact_sheet.png, or check it with\n"
        f"  python main.py --mode=check_data --dataset={config.world.world_layout} "
        f"--data_dir={config.run.workdir}"
    )
    return 0
