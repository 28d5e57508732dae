"""Names of hosts and their list forms; nothing is expanded before it was counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.hostlist import MAX_NAMES, check_host, count_names, expand, is_list_form


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node1", ["node1"]),
        ("10.0.0.11", ["10.0.0.11"]),
        ("fe80::1%eth0", ["fe80::1%eth0"]),
        ("node[01-04]", ["node01", "node02", "node03", "node04"]),
        ("node[9-11]", ["node9", "node10", "node11"]),
        ("n[0-6/3]", ["n0", "n3", "n6"]),
        ("10.0.0.[11-12]", ["10.0.0.11", "10.0.0.12"]),
        ("r[1-2]n[1,3]", ["r1n1", "r1n3", "r2n1", "r2n3"]),
        ("b,a", ["b", "a"]),
        ("z[2-3],a1", ["z2", "z3", "a1"]),
        ("n[1-2]-ib", ["n1-ib", "n2-ib"]),
    ],
)
def test_expanded_in_the_order_written(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a host name"),
        ("-oProxyCommand=x", "not a host name"),
        ("a b", "not a host name"),
        ("a;reboot", "not a host name"),
        ("$(x)", "not a host name"),
        ("@group", "belongs under the key user"),
        ("root@node1", "belongs under the key user"),
        ("node[1-2", "brackets that do not match"),
        ("node1-2]x[", "brackets that do not match"),
        ("node[[1-2]]", "brackets that do not match"),
        ("a,,b", "empty name"),
        ("a,", "empty name"),
        ("node[]", "not a range"),
        ("node[a-c]", "not a range"),
        ("node[1-2-3]", "not a range"),
        ("node[1-4/0]", "not a range"),
        ("node[4-1]", "runs backwards"),
        ("node[1-9999999999]", "not a range"),
        ("node[0-1024]", f"stands for 1025 names; {MAX_NAMES} are allowed"),
        ("n[0-999][0-999][0-999]", "stands for 1000000000 names"),
        ("-n[1-2]", "not a list of host names"),
        ("a,b;c", "not a list of host names"),
    ],
)
def test_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_host(text)
    with pytest.raises(ValueError, match=words):
        expand(text)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 7), st.integers(3, 4))
def test_counted_as_expanded(first: int, more: int, step: int, width: int) -> None:
    text = f"n[{first:0{width}d}-{first + more:0{width}d}/{step}]x,y"
    names = expand(text)
    assert is_list_form(text)
    assert len(names) == count_names(text)
    assert names[0] == f"n{first:0{width}d}x"
