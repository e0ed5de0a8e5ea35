"""Which permission each route of the management API takes, written down by hand beside what the program says.

The matrix of roles and routes asks the schema, so a route that takes the wrong permission would be asked for the wrong
one. Here is what it ought to be: a change of a permission is a line in a review.
"""

from pathlib import Path

from gateway.http.auth import permissions
from policies.roles import PERMISSIONS, Role
from tests.whole_app import whole_app

GOLDEN = Path(__file__).with_name("permissions.txt")


def written() -> list[str]:
    """The lines of the file without its remarks."""
    lines = GOLDEN.read_text().splitlines()
    return [" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")]


async def test_routes_take_the_permission_that_is_written_down(tmp_path: Path) -> None:
    async with whole_app(tmp_path) as app:
        taken = permissions(app)
    found = sorted(
        f"{method.upper()} {path} {permission.value}" for (path, method), permission in taken.items()
    )
    expected = sorted(line for line in written() if line.split()[0].isupper())
    assert found == expected


def test_roles_have_the_permissions_that_are_written_down() -> None:
    found = sorted(
        f"{role.value}: {' '.join(sorted(permission.value for permission in PERMISSIONS[role]))}"
        for role in Role
    )
    assert found == sorted(line for line in written() if not line.split()[0].isupper())
