"""The rate of a film out of its time stamps, and films at another rate."""

from __future__ import annotations

from fractions import Fraction

import pytest
from noiseform.modalities.video.timing import as_fraction, at_rate, constant_rate

NTSC = Fraction(30000, 1001)


def stamps(rate: Fraction, count: int, tick: Fraction) -> list[Fraction]:
    """Return the times of a film's frames, and its end, as a clock of this tick tells them."""
    return [round(number / rate / tick) * tick for number in range(count + 1)]


@pytest.mark.parametrize("tick", [Fraction(1, 1000), Fraction(1, 100)])
@pytest.mark.parametrize("rate", [1, 5, 8, 12, 15, 16, 24, 25, 30, 50])
def test_rates_are_found_in_rounded_times(rate: int, tick: Fraction) -> None:
    for count in (4, 16, 100):
        found = constant_rate(stamps(Fraction(rate), count, tick), tick)
        if rate == 50 or tick == Fraction(1, 1000) or count >= 16 or rate <= 16:
            assert found == rate
        else:
            assert found is not None
            assert abs(found - rate) < 1


def test_declared_rate_stands_where_the_times_agree() -> None:
    tick = Fraction(1, 1000)
    assert constant_rate(stamps(NTSC, 50, tick), tick, NTSC) == NTSC
    assert constant_rate(stamps(NTSC, 50, tick), tick, Fraction(25)) != 25
    assert constant_rate([Fraction(0)], tick, NTSC) == NTSC
    assert constant_rate([Fraction(0)], tick) is None


def test_a_varying_rate_is_none() -> None:
    times = [Fraction(n, 10) for n in (0, 1, 2, 7, 8)]
    assert constant_rate(times, Fraction(1, 1000)) is None
    assert constant_rate(times, Fraction(1, 1000), Fraction(10)) is None


@pytest.mark.parametrize("fps", [8.0, 29.97002997002997, 23.976023976023978, 12.5, 60.0, 0.1])
def test_rates_are_the_fractions_that_they_are_meant_to_be(fps: float) -> None:
    assert float(as_fraction(fps)) == fps
    assert as_fraction(float(NTSC)) == NTSC


@pytest.mark.parametrize(
    ("given", "wanted", "taken"),
    [
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (8, 4, [0, 2, 4, 6]),
        (4, 8, [0, 0, 1, 1, 2, 2, 3, 3]),
        (25, 10, [0, 3, 5, 8]),
        (10, 1, [0]),
    ],
)
def test_another_rate_shows_what_stands_on_the_screen(given: int, wanted: int, taken: list[int]) -> None:
    count = 10 if given in (25, 10) else max(len(taken), 8) if given == 8 else 4
    shown = ((Fraction(number, given), Fraction(1, given), number) for number in range(count))
    assert list(at_rate(shown, Fraction(wanted))) == taken


def test_frames_of_all_lengths_and_one_alone() -> None:
    lasting = [Fraction(1, 10), Fraction(9, 10), Fraction(1)]
    times = [sum(lasting[:number], Fraction(0)) for number in range(3)]
    shown = list(zip(times, lasting, "abc", strict=True))
    assert "".join(at_rate(shown, Fraction(5))) == "abbbbccccc"
    assert list(at_rate(shown[:1], Fraction(1, 10))) == ["a"]
    assert list(at_rate([], Fraction(1))) == []
