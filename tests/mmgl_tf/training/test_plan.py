from mmgl_tf.training.plan import TrainingPlan


def test_a_run_without_stages_is_one():
    plan = TrainingPlan(5, 4)
    assert (plan.stage_ends, plan.stage_starts) == ((4,), (0,))
    assert {plan.stage_of(step) for step in range(30)} == {0}


def test_stages_begin_with_epochs_and_the_last_goes_on():
    plan = TrainingPlan(5, 4, stages=(1, 1, 2))
    assert (plan.stage_ends, plan.stage_starts) == ((1, 2, 4), (0, 5, 10))
    assert [plan.stage_of(step) for step in range(25)] == 5 * [0] + 5 * [1] + 15 * [2]
