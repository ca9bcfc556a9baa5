"""Passwords and keys in addresses: they are shown nowhere."""

import re

HIDDEN = "***"
_ACCOUNT = re.compile(r"(?<=://)[^/?#\s\"'<>]*@")
# Names of values that let whoever has them in: signatures of clouds' addresses, tokens, keys, passwords. Services' own
# identifiers (taxonKey, datasetKey) are none.
_NAMES = (
    r"[\w.~-]*(?:signature|token|secret|passw|passphrase|credential|authorization|access-?id|session|security|hmac|jwt"
    r"|(?:api|access|account|private|subscription|license|licence|pair)[._-]?(?:key|id)|key-pair)[\w.~-]*"
    r"|key|sig|sign|auth|policy|pwd|pw|pass|code|ticket|sas|otp|x-api-key"
)
_QUERY = re.compile(rf"([?&;#](?:amp;)?(?:{_NAMES})=)[^&;#\s\"'<>\\]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """A text with stars for the accounts and passwords in the addresses in it, and for keys in their queries."""
    if "://" not in text and "=" not in text:
        return text
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _ACCOUNT.sub(f"{HIDDEN}@", text))
