"""A tenant's own provider key for tests, which remembers how the provider took it."""

from inference.ir.errors import ProviderKeyRefused, ProviderKeyUnreadable

OWN_SECRET = 'sk-tenant-canary-93b7/e1"f0'
"""With the characters that JSON may write in more than one way."""


class OwnKey:
    """`unreadable` keys cannot be decrypted."""

    def __init__(
        self, provider: str, secret: str = OWN_SECRET, *, fallback: bool = False, unreadable: bool = False
    ) -> None:
        self.provider = provider
        self.fallback = fallback
        self.told: list[str] = []
        self._secret = secret
        self._unreadable = unreadable

    @property
    def secret(self) -> str:
        if self._unreadable:
            raise ProviderKeyUnreadable("It cannot be decrypted here.")
        return self._secret

    def worked(self) -> None:
        self.told.append("worked")

    def refused(self, error: ProviderKeyRefused) -> None:
        self.told.append(f"refused {error.http_status}")
