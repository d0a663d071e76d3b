"""The modes, and what they share: read data, build a model, run. Only here do pipelines and mmgl_tf meet.

One file for each value of --mode, in `training`, `evaluation`, `exchange`, `search` or here; the other files
serve them.

A mode is a function Config -> exit status; eval and visualize take one Config for each run they look at.
Modes import what they need when they run, so that checking data need not wait for TensorFlow.
"""


def _pretrain(config):
    from mmgl_tf.modes.training.pretrain import pretrain

    return pretrain(config)


def _finetune(config):
    from mmgl_tf.modes.training.finetune import finetune

    return finetune(config)


def _evaluate(*configs):
    from mmgl_tf.modes.evaluation.evaluate import evaluate_runs

    return evaluate_runs(configs)


def _visualize(*configs):
    from mmgl_tf.modes.evaluation.visualize import visualize

    return visualize(configs)


def _export(config):
    from mmgl_tf.modes.exchange.export import export

    return export(config)


def _serve_check(config):
    from mmgl_tf.modes.exchange.serve_check import serve_check

    return serve_check(config)


def _embed(config):
    from mmgl_tf.modes.search.embed import embed

    return embed(config)


def _search(config):
    from mmgl_tf.modes.search.search import search

    return search(config)


def _import(config):
    from mmgl_tf.modes.exchange.import_checkpoint import import_checkpoint

    return import_checkpoint(config)


def _synthesize(config):
    from mmgl_tf.modes.synthesize import synthesize

    return synthesize(config)


def _check_data(config):
    from mmgl_tf.modes.check_data import check_data

    return check_data(config)


MODES = {
    "pretrain": _pretrain,
    "finetune": _finetune,
    "eval": _evaluate,
    "visualize": _visualize,
    "export": _export,
    "serve_check": _serve_check,
    "embed": _embed,
    "search": _search,
    "import": _import,
    "synthesize": _synthesize,
    "check_data": _check_data,
}
