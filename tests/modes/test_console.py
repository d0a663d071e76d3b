import io

from mmgl_tf.modes.console import ProgressLine


def test_progress_says_count_rate_and_remaining_time_and_ends_with_the_last_line():
    stream = io.StringIO()
    with ProgressLine("images read", "images", stream) as progress:
        progress(50, 200, 10.0)
        progress(200, 200, 40.0)
    assert stream.getvalue() == "  images read: 200/200  5 images/s  left 0:00\n"


def test_a_first_call_without_time_does_not_divide_by_zero():
    stream = io.StringIO()
    with ProgressLine("images read", "images", stream) as progress:
        progress(3, 3, 0.0)
    assert "3/3" in stream.getvalue()
