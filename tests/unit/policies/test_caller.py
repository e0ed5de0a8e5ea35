"""Callers: what they may, and what there is for them."""

import pytest

from inference.ir.errors import Forbidden, NotFound
from policies.caller import OPERATOR, Caller
from policies.roles import Permission, Role


def user(role: Role | None) -> Caller:
    return Caller(kind="user", name="a@b.c", org_id="org_1", user_id="user_1", role=role)


def test_the_operator_may_and_sees_everything() -> None:
    for permission in Permission:
        OPERATOR.require(permission)
    OPERATOR.in_scope("org_1")
    OPERATOR.in_scope(None)
    assert all(OPERATOR.may_give(role) for role in Role)


def test_a_refusal_names_the_permission_the_role_and_who_has_it() -> None:
    with pytest.raises(Forbidden, match=r"users:write.*role member.*owner, admin") as refused:
        user(Role.MEMBER).require(Permission.USERS_WRITE)
    assert refused.value.code == "missing_permission"
    with pytest.raises(Forbidden, match="only the operator"):
        user(Role.OWNER).require(Permission.OPERATE)
    with pytest.raises(Forbidden, match="without a role"):
        user(None).require(Permission.KEYS_READ)
    user(Role.MEMBER).require(Permission.KEYS_WRITE)


def test_another_organisations_things_are_not_there() -> None:
    user(Role.OWNER).in_scope("org_1")
    for other in ("org_2", None, ""):
        with pytest.raises(NotFound):
            user(Role.OWNER).in_scope(other)
    with pytest.raises(NotFound):
        Caller(kind="user", name="x", org_id=None).in_scope(None)


def test_who_has_no_role_gives_none() -> None:
    assert not any(user(None).may_give(role) for role in Role)
