"""Hides the passwords in URLs before a text is shown."""

import re


def without_passwords(text: str) -> str:
    """Replace each password in a URL by ***, both before the @ and among the parameters."""
    hidden = re.sub(r"(://[^:/@\s]*):[^\s]*@", r"\1:***@", text)
    return re.sub(r"(?i)\b((?:ssl)?password|passfile|oauth_client_secret)=[^&\s]*", r"\1=***", hidden)
