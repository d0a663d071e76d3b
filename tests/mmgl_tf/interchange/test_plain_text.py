from mmgl_tf.interchange.plain_text import LONGEST, plain


def test_plain_text_stays_and_the_rest_is_escaped_and_cut():
    assert plain("layer1.0.conv1.weight") == "layer1.0.conv1.weight"
    assert plain("") == ""
    assert plain("\x1b[2J\n\x9b\udc80ü") == r"\x1b[2J\n\x9b\udc80\xfc"
    long = plain("\x1b" * 10**6)
    assert len(long) < 5 * LONGEST and long.endswith("... (1000000 characters)")
