"""How soon what happens to a node of a launch is seen: the one place that says it.

A node that falls silent is asked at the latest an interval later, and is called out of reach when
it has not answered by then; a container that ended is told by the next answer. What is left of the
time is for everything in between.
"""

from __future__ import annotations

import time

SEEN_WITHIN_S = 5.0
INTERVAL_S = 2.0  # between an answer and the next question
SLACK_S = 0.5  # for the event loop's turns and the way to the screen
ANSWER_S = SEEN_WITHIN_S - INTERVAL_S - SLACK_S  # patience for an answer


def no_answer(who: str = "") -> str:
    """Say that no answer has come within ANSWER_S, since when, and that we go on asking."""
    since = time.strftime("%H:%M:%S", time.localtime(time.time() - ANSWER_S))
    return f"{who}no answer since {since}, still asked"
