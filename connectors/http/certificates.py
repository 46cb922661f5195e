"""What is wrong with a certificate, in words that say who can mend it. It does not pass by asking again, so nothing asks again."""

import ssl

_TRUST = "if the site's own authority signed it, name that authority's file in SSL_CERT_FILE"
_WORDS: dict[int, tuple[str, str]] = {
    9: ("its certificate is not valid yet", "is the clock of this machine right?"),
    10: ("its certificate has expired", "whoever runs the site must renew it"),
    18: ("its certificate is signed by nobody but itself", _TRUST),
    19: ("the authority that signed its certificate is not known here", _TRUST),
    20: ("the authority that signed its certificate is not known here", _TRUST),
    21: ("its certificate came without those that signed it", "whoever runs the site must send the whole chain"),
    23: ("its certificate was revoked", "whoever runs the site must renew it"),
    62: ("its certificate is for another name", "is `url` the address that people use?"),
    64: ("its certificate is for another address", "is `url` the address that people use?"),
    79: (
        "the authority's own certificate may not sign others",
        "it lacks basicConstraints CA:TRUE: make it anew with that",
    ),
    92: (
        "the authority's own certificate does not say what it may be used for",
        "newer Pythons ask for keyUsage (keyCertSign): make the authority's certificate anew with it",
    ),
}
"""By OpenSSL's number of the error (`X509_V_ERR_…`)."""


def certificate_words(error: BaseException | None) -> tuple[str, str] | None:
    """What a failed connection says of the site's certificate, and the way out; None: that is not what failed."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            if "key usage" in str(error.verify_message).lower():
                return _WORDS[92]
            said = f"its certificate is not trusted: {error.verify_message or 'no reason was told'}"
            return _WORDS.get(error.verify_code, (said, _TRUST))
        error = error.__cause__ or error.__context__
    return None
