"""Callers: who is asking the management API for something. Pure; refuses to know how they proved it.

The operator holds the admin key, or sits at the machine with the command line, and may do everything. A user acts
in one organisation, with one role.
"""

from typing import Literal

from msgspec import Struct

from inference.ir.errors import Forbidden, NotFound
from policies.roles import PERMISSIONS, Permission, Role, may_give


class Caller(Struct, frozen=True, kw_only=True):
    """Somebody who asks. `name` is what the audit log calls them: a user's e-mail address, `admin key`,
    `command line (root)`. `request_id` and `ip` are for the audit log too."""

    kind: Literal["operator", "user"]
    name: str
    org_id: str | None = None
    user_id: str | None = None
    role: Role | None = None
    request_id: str | None = None
    ip: str | None = None

    @property
    def is_operator(self) -> bool:
        return self.kind == "operator"

    def may(self, permission: Permission) -> bool:
        """Whether their role holds `permission`; the operator holds all."""
        return self.is_operator or (self.role is not None and permission in PERMISSIONS[self.role])

    def require(self, permission: Permission) -> None:
        """Raises Forbidden, naming the permission and who has it."""
        if self.may(permission):
            return
        holders = [role.value for role in Role if permission in PERMISSIONS[role]]
        who = f"roles that have it: {', '.join(holders)}" if holders else "only the operator has it"
        raise Forbidden(
            f"This takes the permission {permission.value}, which {self._described} does not have; {who}.",
            code="missing_permission",
        )

    def may_give(self, role: Role) -> bool:
        """Whether they may make somebody `role`, or change somebody who is."""
        return self.is_operator or (self.role is not None and may_give(self.role, role))

    def sees(self, org_id: str | None) -> bool:
        """Whether things of this organisation exist for them."""
        return self.is_operator or (org_id is not None and org_id == self.org_id)

    def in_scope(self, org_id: str | None) -> None:
        """Raises NotFound for another organisation's things, in the words used for what is not there at all."""
        if not self.sees(org_id):
            raise NotFound("There is no such thing here, or none that you may see.")

    @property
    def _described(self) -> str:
        return f"the role {self.role.value}" if self.role is not None else "somebody without a role"


OPERATOR = Caller(kind="operator", name="operator")
"""The installation acting by itself, or whoever runs it."""
