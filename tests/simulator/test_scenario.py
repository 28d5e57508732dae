"""Scenario files: what they may say, and how a mistake is named."""

from __future__ import annotations

import pytest

from wizard.cluster import Series
from wizard.errors import UsageError
from wizard.simulator.scenario import check_fits, load_scenario, names, parse_scenario


def test_the_shipped_ones_can_be_read_and_fit() -> None:
    assert set(names()) >= {"healthy", "link-down"}
    for name in names():
        scenario = load_scenario(name)
        assert scenario.title
        check_fits(scenario, name, Series.A3, 4 if name in OF_FOUR_NODES else 2)


# what needs more than two nodes to be seen; a cluster of two refuses them
OF_FOUR_NODES = {"node-isolated", "switches-split"}


def test_an_empty_file_is_a_healthy_cluster() -> None:
    assert parse_scenario("") == parse_scenario("{}")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("lnik: down", "lnik: unknown key"),
        ("devices: [{node: 0, device: 3, link: sideways}]", r"devices\[0\].link: "),
        ("devices: [{node: 0, device: 16}]", r"devices\[0\].device: "),
        ("devices: [{device: 1}]", r"devices\[0\].node: "),
        ("nodes: [{node: -1}]", r"nodes\[0\].node: "),
        ("pairs: [{source: {node: 0, device: 1}}]", r"pairs\[0\].target: "),
        ("timing: {stages: {load: -1}}", "timing.stages.load: "),
        ("timing: {hccn_tool: [2, 1]}", "timing: .*shortest, longest"),
        ("launch: [{node: 0, at: lunch, does: killed}]", r"launch\[0\].at: "),
        ("driver: 24", "driver: "),
        ("- a list", "the file: "),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_mistake_is_named_by_its_key(text: str, where: str) -> None:
    with pytest.raises(UsageError, match=f"^scenario mine: {where}"):
        parse_scenario(text, "mine")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("devices: [{node: 2, device: 0}]", r"devices\[0\].node is 2, .* has nodes 0 to 1"),
        ("devices: [{node: 0, device: 8}]", r"devices\[0\].device is 8, .* devices 0 to 7"),
        ("nodes: [{node: 5}]", r"nodes\[0\].node is 5"),
        ("launch: [{node: 3, at: load, does: killed}]", r"launch\[0\].node is 3"),
        (
            "pairs: [{source: {node: 0, device: 0}, target: {node: 1, device: 9}}]",
            r"pairs\[0\].target.device is 9",
        ),
    ],
)
def test_a_fault_that_could_show_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_fits(parse_scenario(text), "mine", Series.A2, 2)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="'nope'") as caught:
        load_scenario("nope")
    assert "healthy" in str(caught.value) + str(caught.value.hint)
