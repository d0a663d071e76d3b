from benchmarks.median_and_range import median_and_range


def test_times_are_shown_as_median_and_range():
    assert median_and_range([3.0, 1.0, 2.0, 10.0, 2.5]) == "2.50 [1.00, 10.00]"
    assert median_and_range([0.2, 0.4], "{:.1f}") == "0.3 [0.2, 0.4]"
