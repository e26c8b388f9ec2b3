"""The list of papers: complete, well-formed, and its state derived, never written."""

from __future__ import annotations

import pytest

from adhere.errors import UnknownNameError
from adhere.methods import get, methods


def test_there_are_62_papers_and_2_extras() -> None:
    found = methods()
    assert sum(not m.extra for m in found) == 62
    assert [m.slug for m in found if m.extra] == ["ifeval", "self-instruct"]
    assert len({m.slug for m in found}) == 64


def test_every_paper_takes_part_in_some_verb() -> None:
    for m in methods():
        assert m.title, m.slug
        assert m.roles, m.slug
        assert set(m.roles) <= {"answer", "score", "write", "train", "study"}, m.slug


def test_the_state_follows_from_the_result() -> None:
    for m in methods():
        built = "in part" if m.to_come else "working"
        assert m.state == (built if m.result else "planned")


def test_a_reproduction_of_a_part_is_told_with_its_paper() -> None:
    (further,) = get("decrim").further
    assert further["slug"] == "decrim-realinstruct" and get("decrim").result["slug"] == "decrim"
    assert not any(m.further for m in methods() if m.slug != "decrim")


def test_parts_are_read_from_the_registry() -> None:
    assert "keywords:existence" in get("ifeval").parts["constraints"]
    assert "ifeval" in get("ifeval").parts["bench"]


def test_an_unknown_slug_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'decrim'"):
        get("decrimm")


@pytest.mark.parametrize("room", ["answer", "score", "write", "train"])
def test_every_part_names_a_known_paper_and_says_what_it_does(room: str) -> None:
    from adhere.registry import parts

    slugs = {m.slug for m in methods()}
    for part in parts(room).values():
        assert part.paper is None or part.paper in slugs, part.name
        assert (part.target.__doc__ or "").strip(), part.name
        assert part.name.isidentifier() and part.name == part.name.lower(), part.name
