"""The width of a node: as much as it bears, never more than allowed."""

from __future__ import annotations

from wizard.checks.width import Width


def test_it_begins_with_what_is_allowed_and_narrows_to_what_was_borne() -> None:
    width = Width(8)
    assert width.now == 8
    for others in (7, 6, 5, 4, 3):  # five of eight calls find the tool busy, one after the other
        width.busy(others)
    assert width.now == 3


def test_it_never_goes_below_one() -> None:
    width = Width(4)
    width.busy(0)
    assert width.now == 1


def test_it_widens_by_one_after_enough_good_answers_and_no_further_than_allowed() -> None:
    width = Width(3)
    width.busy(1)
    seen = []
    for _ in range(200):
        width.good()
        seen.append(width.now)
    assert seen[0] == 1
    assert sorted(set(seen)) == [1, 2, 3]
    assert seen == sorted(seen)


def test_tries_that_fail_become_ever_more_seldom() -> None:
    width = Width(2)
    width.busy(1)
    gaps, since = [], 0
    for _ in range(1000):
        since += 1
        width.good()
        if width.now == 2:  # tried, and found busy
            gaps.append(since)
            since = 0
            width.busy(1)
    assert gaps[:4] == sorted(gaps[:4])
    assert gaps[3] >= 8 * gaps[0]
    assert max(gaps) == gaps[-1], "and the longest pause is bounded"
    assert gaps[-1] <= 16 * gaps[0]
