"""The `aspendos` command. Subcommands are loaded when they are asked for, so that each starts fast."""

import os
import sys

from cyclopts import App, CycloptsError, CycloptsPanel, MissingArgumentError

from gateway.version import VERSION


def _mistake(error: CycloptsError) -> object:
    """What is shown of a command that was written wrong: of options nobody knows, too, where something is missing."""
    unknown = [token for token in error.unused_tokens or () if token.startswith("--")]
    if not isinstance(error, MissingArgumentError) or not unknown:
        return CycloptsPanel(error)
    return CycloptsPanel(
        f"{error} There is no option {' or '.join(token.split('=')[0] for token in unknown)}."
    )


app = App(
    name="aspendos",
    error_formatter=_mistake,
    version=VERSION,
    help="A self-hosted, OpenAI-compatible LLM gateway. First steps: `aspendos serve --embedded`.",
)
app.command("gateway.cli.serve:serve", name="serve", help="Run the gateway.")
app.command(
    "gateway.cli.config:check_config",
    name="check-config",
    help="Check config/models.yaml: every mistake with its line, every provider on or off.",
)
app.command(
    "gateway.cli.keys:app",
    name="keys",
    help="Make, list, change, rotate and delete the keys clients call with.",
)
app.command(
    "gateway.cli.organisations:app",
    name="organisations",
    help="Make, list, change and delete organisations: tenants apart.",
)
app.command("gateway.cli.teams:app", name="teams", help="Teams, and who is in them.")
app.command("gateway.cli.users:app", name="users", help="Users: who may log in, and as what.")
app.command(
    "gateway.cli.logins:app",
    name="logins",
    help="Let users log in: invitations, logins, signing keys, trusted issuers.",
)
app.command("gateway.cli.audit:audit", name="audit", help="Show who changed what.")
app.command("gateway.cli.budgets:app", name="budgets", help="Budgets, and where their alerts go.")
app.command(
    "gateway.cli.provider_keys:app",
    name="provider-keys",
    help="Tenants' own provider keys: store, test, replace; rotate the master key.",
)
app.command(
    "gateway.cli.credits:app",
    name="credits",
    help="Credit accounts: show, open, grant, adjust; statements; prove the books.",
)
app.command(
    "gateway.cli.billing:app",
    name="billing",
    help="Payments and invoices: what was bought, refunds, webhooks received.",
)
app.command(
    "gateway.cli.usage:app",
    name="usage",
    help="Show what was used and what it cost; compare it with what providers say.",
)
app.command(
    "gateway.cli.local:app", name="local", help="Models of the embedded CPU worker: add, list, remove, serve."
)
app.command("gateway.cli.env:env", name="env", help="List every setting and check those that are set.")


def main() -> None:
    """Entry point of the console script."""
    try:
        status = app() or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output, `head` perhaps, has had enough; the interpreter must not flush again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
