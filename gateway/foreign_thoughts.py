"""Foreign thoughts: a chat that is passed on in its client's bytes leaves behind what other providers sealed. Pure.

What is translated is written down without them; this is for what is not.
"""

from collections.abc import Callable

from gateway.translation import refuse_losses
from inference.codecs.foreign_thoughts import without_foreign
from inference.deployment import Deployment


def fitting(body: bytes, *, strict: bool) -> Callable[[Deployment], tuple[bytes, tuple[str, ...]]]:
    """What of a chat each target may have, and the names of what is gone; asked anew for each that is tried.

    What is given back raises InvalidField where something would be left out and the request is `strict`.
    """

    def fit(deployment: Deployment) -> tuple[bytes, tuple[str, ...]]:
        fits, gone = without_foreign(body, deployment.provider.wire, deployment.origin.host)
        if strict:
            refuse_losses(deployment, gone)
        return fits, gone

    return fit
