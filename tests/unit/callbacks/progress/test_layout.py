import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.callbacks.progress.layout import MOST_VALUE_LINES, Row, duration, lay_out, number

GAN = {"loss/generator": 1.25, "loss/discriminator": 0.5, "score/real": 0.7, "score/fake": 0.3}


def shown(rows, width, **how):
    return ["".join(text for text, _ in line) for line in lay_out(rows, width, **how)]


def rows(values=GAN):
    return [
        Row("epoch", 4, 10, 0.375, ["0:20 left"], {"loss": 0.5}),
        Row("train", 128, 469, 0.25, ["0:01 left", "812 batches/s"], values),
    ]


def test_in_a_wide_terminal():
    assert shown(rows(), 100) == [
        "epoch  4/10   ━━━━━━━━━━━━━━━─────────────────────────  37% 0:20 left",
        "  loss 0.5000",
        "train 128/469 ━━━━━━━━━━──────────────────────────────  25% 0:01 left 812 batches/s",
        "  loss/generator 1.250  loss/discriminator 0.5000  score/real 0.7000  score/fake 0.3000",
    ]


def test_what_gives_way_when_it_is_narrow():
    """First the rate, then the time, then the bar."""
    assert [shown(rows(), width)[2] for width in (56, 40, 30, 20, 12)] == [
        "train 128/469 ━━━──────────  25% 0:01 left 812 batches/s",
        "train 128/469 ━━─────────  25% 0:01 left",
        "train 128/469 ━━─────────  25%",
        "train 128/469  25%",
        "train 128/46",
    ]


def test_values_go_on_in_the_next_line():
    assert shown(rows(), 40)[3:] == [
        "  loss/generator 1.250",
        "  loss/discriminator 0.5000",
        "  score/real 0.7000  score/fake 0.3000",
    ]


def test_long_names_are_shortened_in_the_middle():
    values = {"encoder/classification_and_regression_loss": 0.5}
    assert shown(rows(values), 30)[-1] == "  encoder/cl…ssion_loss 0.5000"
    assert shown(rows(values), 30, is_ascii=True)[-1] == "  encoder/c...sion_loss 0.5000"


def test_what_there_is_no_room_for_is_counted():
    values = {f"loss_{number}": 0.5 for number in range(20)}
    lines = shown(rows(values), 40)[3:]
    assert lines == [
        "  loss_0 0.5000  loss_1 0.5000",
        "  loss_2 0.5000  loss_3 0.5000",
        "  loss_4 0.5000  loss_5 0.5000  +14",
    ]
    assert len(lines) == MOST_VALUE_LINES


def test_a_value_makes_room_for_the_count_of_the_rest():
    values = {f"losses_{number}": 0.5 for number in range(20)}
    assert shown(rows(values), 36)[-1] == "  losses_4 0.5000  +15"


def test_without_totals_there_is_no_bar():
    unknown = [
        Row("epoch", 3, None, None, ["0:05"], {}),
        Row("train", 12, None, None, ["0:02", "47.1 batches/s"], {"loss": 0.5}),
    ]
    assert shown(unknown, 80) == ["epoch 3   0:05", "train 12  0:02 47.1 batches/s", "  loss 0.5000"]


def test_bars_stay_below_each_other_where_one_is_unknown():
    mixed = [Row("epoch", 3, 4, 0.5, ["0:05"], {}), Row("train", 12, None, None, ["0:02"], {})]
    first, second = shown(mixed, 60)
    assert first.index("0:05") == second.index("0:02")
    assert "━" not in second


@pytest.mark.parametrize("width", [100, 38, 12])
def test_ascii(width):
    assert all(line.isascii() for line in shown(rows({"x" * 50: float("nan"), **GAN}), width, is_ascii=True))


def test_no_number_is_an_alarm():
    (_, line) = lay_out([Row("train", 1, 2, 0.5, [], {"a": float("nan"), "b": 1.0, "c": float("inf")})], 80)
    assert [(text, role) for text, role in line if role in ("value", "alarm")] == [
        ("nan", "alarm"),
        ("1.000", "value"),
        ("inf", "alarm"),
    ]


names = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=60)


@given(
    values=st.dictionaries(names, st.floats(), max_size=30),
    width=st.integers(1, 200),
    fraction=st.none() | st.floats(0, 1),
    count=st.integers(0, 10**9),
    is_ascii=st.booleans(),
)
def test_no_line_is_too_long_whatever_comes(values, width, fraction, count, is_ascii):
    tail = ["0:20 left", "812 batches/s"]
    rows = [Row("epoch", 1, 10, 0.1, tail[:1], values), Row("train", count, None, fraction, tail, values)]
    lines = shown(rows, width, is_ascii=is_ascii)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 2 * (1 + MOST_VALUE_LINES)


@given(st.floats(-1e300, 1e300))
def test_a_number_is_short_and_right(value):
    assert len(number(value)) <= len("-1.000e+100")
    assert float(number(value)) == pytest.approx(value, rel=1e-3, abs=1e-300)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.9, "1:00:00"), (86_399.9, "1d 00:00"), (90_061, "1d 01:01")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
