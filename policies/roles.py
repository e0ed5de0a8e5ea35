"""Roles and permissions: who may do what in the management API. Pure; knows no route and no database.

A role is held in one organisation. The operator, who holds the admin key, may do everything everywhere.
"""

from enum import StrEnum


class Permission(StrEnum):
    """One kind of act. `:read` never changes anything."""

    ORGANISATION_READ = "organisation:read"
    ORGANISATION_WRITE = "organisation:write"
    TEAMS_READ = "teams:read"
    TEAMS_WRITE = "teams:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    PROVIDER_KEYS_READ = "provider_keys:read"
    PROVIDER_KEYS_WRITE = "provider_keys:write"
    USAGE_READ = "usage:read"
    BUDGETS_READ = "budgets:read"
    BUDGETS_WRITE = "budgets:write"
    CREDITS_READ = "credits:read"
    CREDITS_WRITE = "credits:write"
    BILLING_READ = "billing:read"
    BILLING_WRITE = "billing:write"
    AUDIT_READ = "audit:read"
    MODELS_READ = "models:read"
    OPERATE = "operate"
    """What concerns the installation and not one organisation: configuration, other organisations, corrections."""


class Role(StrEnum):
    """What somebody is in an organisation."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    BILLING = "billing"
    VIEWER = "viewer"


_EVERYTHING = frozenset(Permission) - {Permission.OPERATE}
# Credits are bought (billing:write), not written: only the operator may give them away.
_OWNER = _EVERYTHING - {Permission.CREDITS_WRITE}
_READS = frozenset(
    permission
    for permission in _EVERYTHING
    if permission.value.endswith(":read")
    and permission not in {Permission.AUDIT_READ, Permission.PROVIDER_KEYS_READ, Permission.BILLING_READ}
)

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: _OWNER,
    Role.ADMIN: _OWNER - {Permission.BILLING_WRITE, Permission.ORGANISATION_WRITE},
    Role.MEMBER: _READS | {Permission.KEYS_WRITE},
    Role.BILLING: _READS
    | {Permission.BILLING_READ, Permission.BILLING_WRITE, Permission.BUDGETS_READ, Permission.BUDGETS_WRITE},
    Role.VIEWER: _READS,
}
"""A member's `keys:write` covers only keys of their own and of their teams; the service sees to that."""


def may_give(giver: Role, role: Role) -> bool:
    """Whether a `giver` may make somebody `role`, or change somebody who is.

    Nobody can hand on a permission they do not have: otherwise they could make themselves a helper who has it.
    So an admin makes admins, members and viewers, and neither owners nor those who deal with billing.
    """
    return Permission.USERS_WRITE in PERMISSIONS[giver] and PERMISSIONS[role] <= PERMISSIONS[giver]
