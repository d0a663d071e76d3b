from mmgl_tf.flags.config import from_flat, recorded
from mmgl_tf.modes.identity import described


def words(**values):
    return described(recorded(from_flat({"mode": "pretrain", **values})))


def test_what_a_run_is_is_said_once_and_whether_it_knew_people():
    assert words(method="mmgl", pcc=False) == "MMGL (pcc=False), no identities"
    assert words(method="colorization", colorization_rebalance=1.0) == (
        "Colorization (colorization_rebalance=1.0), no identities"
    )
    assert words(method="supervised") == "Supervised (visible)"
    assert words(method="supervised", supervised_modalities="both", unseen_stem="keep") == (
        "Supervised (both) (unseen_stem=keep)"
    )
