import pytest

from onlooker.callbacks.progress.pace import EPOCHS_AVERAGED, WINDOW_S, EpochPace, Pace


def paced(total, *marks):
    pace = Pace(now_s=0.0, total=total)
    for pace.count, now_s in marks:
        pace.note(now_s)
    return pace


def test_nothing_is_known_before_the_first_batch():
    pace = paced(10, (0, 0.0), (0, 3.0))
    assert (pace.rate(), pace.left_s(), pace.fraction()) == (None, None, 0.0)


def test_the_rate_is_that_of_the_last_seconds():
    pace = paced(1000, (1, 10.0), *((1 + 10 * second, 10.0 + second) for second in range(1, 21)))
    assert pace.rate() == pytest.approx(10.0)  # the first batch took ten seconds
    assert pace.left_s() == pytest.approx((1000 - 201) / 10)


def test_a_slow_batch_is_longer_than_the_window():
    pace = paced(10, (1, 10 * WINDOW_S), (2, 20 * WINDOW_S))
    assert pace.rate() == pytest.approx(1 / (10 * WINDOW_S))


def test_the_memory_of_a_rate_is_bounded():
    pace = paced(None, *((n, n / 10) for n in range(1, 10_000)))
    assert len(pace._marks) <= WINDOW_S * 10 + 2


def test_what_is_left_of_an_unknown_total_is_unknown():
    pace = paced(None, (5, 1.0))
    assert (pace.rate(), pace.left_s(), pace.fraction()) == (5.0, None, None)


def test_a_total_that_was_announced_wrongly_is_dropped():
    assert paced(10, (10, 1.0)).total == 10
    pace = paced(10, (11, 1.0))
    assert (pace.total, pace.left_s(), pace.fraction()) == (None, None, None)


def test_the_first_epoch_is_estimated_by_its_batches():
    epochs = EpochPace(now_s=0.0, total=4)
    epochs.begin(0, now_s=0.0)
    assert epochs.left_s(now_s=1.0) is None
    assert epochs.left_s(now_s=1.0, batches=paced(10, (5, 1.0))) == pytest.approx(1.0 + 3 * 2.0)
    assert epochs.fraction(paced(10, (5, 1.0))) == pytest.approx(0.5 / 4)


def test_later_epochs_are_estimated_by_those_before():
    epochs = EpochPace(now_s=0.0, total=4)
    epochs.begin(0, now_s=0.0)
    assert epochs.end(0, now_s=10.0) == 10.0
    assert epochs.left_s(now_s=10.0) == pytest.approx(30.0)
    epochs.begin(1, now_s=10.0)
    # The batches are nearly through, but then comes a validation, as it did before.
    assert epochs.left_s(now_s=14.0, batches=paced(10, (9, 4.0))) == pytest.approx(26.0)
    assert epochs.left_s(now_s=25.0) == pytest.approx(20.0)  # longer than expected: it cannot be less than nothing
    assert epochs.fraction() == 0.25


def test_only_the_last_epochs_count():
    epochs = EpochPace(now_s=0.0, total=EPOCHS_AVERAGED + 2)
    now_s = 0.0
    for epoch, took_s in enumerate([100.0] + [1.0] * EPOCHS_AVERAGED):
        epochs.begin(epoch, now_s)
        now_s += took_s
        epochs.end(epoch, now_s)
    assert epochs.left_s(now_s) == pytest.approx(1.0)


def test_a_resumed_training_counts_from_its_first_epoch():
    epochs = EpochPace(now_s=0.0, total=10)
    epochs.begin(7, now_s=0.0)
    assert (epochs.count, epochs.fraction()) == (7, 0.7)
    epochs.end(7, now_s=5.0)
    assert epochs.left_s(now_s=5.0) == pytest.approx(10.0)


def test_epochs_without_end_or_beyond_it():
    epochs = EpochPace(now_s=0.0)
    epochs.begin(0, now_s=0.0)
    epochs.end(0, now_s=5.0)
    assert (epochs.left_s(5.0), epochs.fraction()) == (None, None)
    over = EpochPace(now_s=0.0, total=2)
    over.begin(5, now_s=0.0)
    over.end(5, now_s=1.0)
    assert (over.left_s(1.0), over.fraction()) == (0, 1.0)


def test_an_epoch_may_end_without_having_begun():
    """As a trigger on the begin hook would have it."""
    epochs = EpochPace(now_s=0.0, total=2)
    assert epochs.end(0, now_s=5.0) == 0.0
