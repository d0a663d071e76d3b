"""Values that no flag can have: one message in our own words, whoever found them, absl or we."""

import pytest

from mmgl_tf.flags.definitions import settings_in
from mmgl_tf.flags.reading import configs_of


def refusal(*words):
    with pytest.raises(ValueError, match="--") as error:
        configs_of(settings_in(["--mode=pretrain", *words]))
    return str(error.value)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--epochs=two", "--epochs=two: expected a whole number"),
        ("--epochs=2.5", "--epochs=2.5: expected a whole number"),
        ("--epochs=", "--epochs=: expected a whole number"),
        ("--learning_rate=0,1", "--learning_rate=0,1: expected a number, such as 0.1"),
        ("--flip=maybe", "--flip=maybe: expected true or false"),
        ("--precision=float8", "expected one of float32, bfloat16, float16; did you mean float32?"),
        ("--backbone=vgg", "--backbone=vgg: expected one of resnet10, resnet18, resnet34, resnet50"),
    ],
)
def test_what_a_flag_cannot_be_is_said_in_our_words(word, expected):
    assert refusal(word) == expected or refusal(word).endswith(expected)


def test_a_mode_that_is_nearly_one_is_suggested():
    assert refusal("--mode=pretrian").endswith("; did you mean pretrain?")


@pytest.mark.parametrize("name", ["method", "init", "preset", "dataset", "recipe"])
def test_an_empty_word_is_not_taken_for_the_default(name):
    mode = "finetune" if name == "init" else "pretrain"
    told = refusal(f"--mode={mode}", f"--{name}=")
    assert told.startswith(f"--{name}=") and "expected" in told


def test_an_empty_word_that_means_something_is_taken():
    configs_of(settings_in(["--mode=finetune", "--stem_from=", "--workdir="]))
