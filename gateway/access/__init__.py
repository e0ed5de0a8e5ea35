"""Access: who a bearer token is, ours or an OIDC issuer's, and how people log in. Refuses HTTP of its own."""
