"""Lists of nodes as people paste them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wizard.draft import DraftNode
from wizard.nodelist import expand_spec, format_nodes, is_many, merge, parse_nodes


def addresses(text: str) -> list[str]:
    found = parse_nodes(text)
    assert not found.problems, found.problems
    return [node.address for node in found.nodes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n1\nn2\n", ["n1", "n2"]),
        ("  n2 , n1\n\n# a comment\nn0 # the last\n", ["n2", "n1", "n0"]),
        ("root@10.0.0.7:2222 admin@box", ["root@10.0.0.7:2222", "admin@box"]),
        ("node[08-11]", ["node08", "node09", "node10", "node11"]),
        ("ops@r[1,3]n[1-2]:2200", [f"ops@r{r}n{n}:2200" for r in (1, 3) for n in (1, 2)]),
        ("b[1-2],a[1-2]", ["b1", "b2", "a1", "a2"]),  # ranks in the order written, not sorted
        (
            "fd00::7\n[fd00::8]:2222\nroot@[fd00::9]",
            ["fd00::7", "[fd00::8]:2222", "root@[fd00::9]"],
        ),
        ("root@fd00::7", ["root@[fd00::7]"]),
        ("10.0.0.5\tnode5 node5.lab  # rack 2\n10.0.0.6 node6", ["10.0.0.5", "10.0.0.6"]),
        ("127.0.0.1 localhost\n::1 ip6-localhost\n10.1.1.1 a", ["10.1.1.1"]),
        ("10.0.0.1 10.0.0.2, 10.0.0.3", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
        ("127.9.0.1\n127.9.0.2", ["127.9.0.1", "127.9.0.2"]),
        (
            "[npu]\nn1 ansible_host=10.0.0.1 ansible_user=root ansible_port=2201\nn[02:03]\n"
            "[npu:vars]\nansible_user=x\n[more]\nn9 rack=7\n",
            ["root@10.0.0.1:2201", "n02", "n03", "n9"],
        ),
        ("; an ini comment\n\ufeffn1\r\nn2\r\n".replace("\ufeff", ""), ["n1", "n2"]),
        ("\ufeffn1", ["n1"]),
        ("", []),
    ],
)
def test_what_people_paste(text: str, expected: list[str]) -> None:
    assert addresses(text) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("@compute", "@compute is a group"),
        ("root@@a", "'root@@a' cannot be read; type host, user@host or user@host:port."),
        ("n[1-9999999]", "n[1-9999999]' stands for 9999999 names; 1024 are allowed."),
        ("n[4-1]", "the range 4-1 runs backwards."),
        ("n[1-2", "brackets that do not match."),
        ("n1:70000", "port 70000 of n1:70000 is out of range; it must be from 1 to 65535."),
        ("n$(reboot)", "is not a host name, an address or an ssh_config alias."),
        ("-oProxyCommand=x", "is not a host name"),
        ("n0", "n0 stands in line 1 already; each node is once in the list."),
        ("root@N0:22", "stands in line 1 already"),
        ("[fe80::zz]:22", "is not an IPv6 address"),
        (":", "is not a host name, an address"),
        ("a:b", "is not a host name, an address"),
        ("x[1-600] y[1-600]", "the list has 1201 nodes; 1024 are allowed."),
    ],
)
def test_a_bad_line_is_named_and_the_good_ones_are_kept(line: str, said: str) -> None:
    found = parse_nodes(f"n0\n\n{line}\nlast\n")
    assert [node.address for node in found.nodes] == ["n0", "last"]
    (problem,) = found.problems
    assert problem.line == 3
    assert said in str(problem)


def test_a_key_of_an_inventory_is_the_nodes() -> None:
    (node,) = parse_nodes("n1 ansible_ssh_private_key_file='~/.ssh/lab'").nodes
    assert node == DraftNode("n1", identity_file="~/.ssh/lab")


def test_an_edited_list_keeps_the_details() -> None:
    before = [
        DraftNode("n1", jump="gate", local_ip="10.0.0.1"),
        DraftNode("n2", jump="gate", nic="bond0"),
    ]
    text = format_nodes(before)
    assert text == "n1\nn2\n"
    merged = merge(parse_nodes("n3\nn2\nn1").nodes, before)
    assert merged == [DraftNode("n3", jump="gate"), before[1], before[0]]
    assert merge(parse_nodes("n4").nodes, [before[0], DraftNode("x")]) == [DraftNode("n4")]


@pytest.mark.parametrize(
    ("spec", "many"),
    [("n[1-2]", True), ("u@n[1-2]:22", True), ("a,b", True), ("a b", True), ("n1", False),
     ("[fd00::1]:22", False), ("root@[fd00::1]", False), ("", False), ("a@b@c", False)],
)  # fmt: skip
def test_what_stands_for_many(spec: str, many: bool) -> None:
    assert is_many(spec) is many


def test_expanding_keeps_user_and_port() -> None:
    assert expand_spec("ops@n[1-2]:22") == ["ops@n1:22", "ops@n2:22"]
    assert expand_spec("[fd00::1]:22") == ["[fd00::1]:22"]


@given(st.text(max_size=200) | st.text("a1:@[]%.-, \n", max_size=30))
@example(":")
@example("0@::]")
@example("0@::%]")
@example("0@@::")
@example("[:::")
def test_any_text_gives_nodes_or_problems_by_line(text: str) -> None:
    found = parse_nodes(text)
    assert len(found.nodes) <= 1024
    assert all(not node.problem for node in found.nodes), found
    assert all(1 <= p.line <= text.count("\n") + 1 for p in found.problems)
