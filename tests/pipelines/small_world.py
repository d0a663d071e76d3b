"""A world small enough to be drawn again and again, in both layouts."""

from mmgl_tf.pipelines.synthetic import WorldSpec

SPEC = WorldSpec(
    seed=1,
    train_identities=5,
    validation_identities=2,
    test_identities=3,
    frames=2,
    infrared_train_frames=3,
    height=48,
)
REGDB = WorldSpec(**{**vars(SPEC), "layout": "regdb"})
