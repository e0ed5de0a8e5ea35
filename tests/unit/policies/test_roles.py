"""Roles: what they hold, and that nobody can hand on more than they have."""

import itertools
from pathlib import Path

import pytest

from policies.roles import PERMISSIONS, Permission, Role, may_give


def test_only_the_operator_operates() -> None:
    assert set(PERMISSIONS) == set(Role)
    for role in Role:
        assert Permission.OPERATE not in PERMISSIONS[role]
        assert Permission.CREDITS_WRITE not in PERMISSIONS[role], "credits are bought, not written"


def test_a_viewer_changes_nothing() -> None:
    assert all(permission.value.endswith(":read") for permission in PERMISSIONS[Role.VIEWER])
    assert PERMISSIONS[Role.VIEWER] < PERMISSIONS[Role.MEMBER]


@pytest.mark.parametrize(("giver", "role"), list(itertools.product(Role, Role)))
def test_nobody_hands_on_what_they_lack(giver: Role, role: Role) -> None:
    if may_give(giver, role):
        assert Permission.USERS_WRITE in PERMISSIONS[giver]
        assert PERMISSIONS[role] - PERMISSIONS[giver] == frozenset()


def test_who_makes_whom() -> None:
    assert {role for role in Role if may_give(Role.OWNER, role)} == set(Role)
    assert {role for role in Role if may_give(Role.ADMIN, role)} == {Role.ADMIN, Role.MEMBER, Role.VIEWER}
    for giver in (Role.MEMBER, Role.BILLING, Role.VIEWER):
        assert not any(may_give(giver, role) for role in Role)


def test_the_page_on_roles_says_the_same() -> None:
    page = (Path(__file__).parents[3] / "docs" / "organisations.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if "|" in line]
    head = next(row for row in rows if row[1:] == [role.value for role in Role])
    told: dict[Role, set[str]] = {role: set() for role in Role}
    for row in rows[rows.index(head) + 2 :][: len({one.value.partition(":")[0] for one in Permission}) - 1]:
        area = row[0].strip("`")
        for role, cell in zip(Role, row[1:], strict=True):
            told[role] |= {f"{area}:{word}" for word in cell.split(", ") if word != "–"}
    assert told == {role: {one.value for one in PERMISSIONS[role]} for role in Role}
