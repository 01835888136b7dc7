"""How an answer is sent: its headers, its cookies, and compressed where the browser takes that."""

import gzip
from dataclasses import dataclass, field
from typing import Final

import falcon

from xds.accounts import openid_login
from xds.accounts.sessions import Session
from xds.console import cookies
from xds.console.visits import Bytes

_WORTH: Final = 1_024
"""Bytes from which on it is worth compressing."""
_HEADERS: Final = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Frame-Options", "DENY"),
    ("X-Content-Type-Options", "nosniff"),
    # not no-referrer, with which browsers hide the origin of a form
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cache-Control", "no-store"),
    ("Vary", "Accept-Encoding, Cookie"),
)


def is_compressible(request: falcon.Request) -> bool:
    """Tell whether the browser takes gzip."""
    taken = (request.get_header("Accept-Encoding") or "").replace(" ", "").lower().split(",")
    return any(one.partition(";")[0] == "gzip" and not one.endswith(";q=0") for one in taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSending:
    """How the answer to one request is sent; belongs to one thread."""

    path: str
    secure: bool = False
    """Whether the browser speaks TLS, to this server or to a proxy before it."""
    origin: str = ""
    session: Session | None = None
    form_secret: str = field(default="", repr=False)
    """Of forms on pages for those who have no session."""
    login_kept: str = field(default="", repr=False)
    """What the browser keeps of a login at a provider that is under way."""
    compresses: bool = False

    @property
    def secret(self) -> str:
        """The secret that the tokens of forms go by."""
        return self.form_secret if self.session is None else self.session.secret

    def token(self, response: falcon.Response) -> str:
        """Return a token for the forms of a page."""
        secret = self.secret
        if not secret:
            secret = cookies.new_secret()
            self._set(response, 1, secret)
        return cookies.masked(cookies.token_of(secret))

    def begin(self, response: falcon.Response, session: Session) -> None:
        """Have the browser keep the secret of a session."""
        self._set(response, 0, session.secret)
        self._set(response, 1, "")

    def keep_login(self, response: falcon.Response, kept: str) -> None:
        """Have the browser keep a login at a provider while it is under way; empty to end it."""
        self._set(response, 2, kept, openid_login.SECONDS if kept else 0)

    def forget(self, response: falcon.Response) -> None:
        """Have the browser forget all."""
        for which in range(3):
            self._set(response, which, "")
        # not "cookies", which are those of the whole domain: other servers of it have theirs
        response.set_header("Clear-Site-Data", '"cache", "storage"')

    def _set(self, response: falcon.Response, which: int, value: str, seconds: int = 0) -> None:
        name = cookies.names(secure=self.secure)[which]
        text = cookies.written(name, value, secure=self.secure, seconds=seconds)
        response.append_header("Set-Cookie", text)

    def see_other(self, response: falcon.Response, url: str) -> None:
        """Send the browser on."""
        _set_headers(response)
        response.status = falcon.HTTP_303
        response.set_header("Location", url)


def _set_headers(response: falcon.Response) -> None:
    for name, value in _HEADERS:
        response.set_header(name, value)


def send_page(response: falcon.Response, text: str, sending: PageSending) -> None:
    """Send a page."""
    _set_headers(response)
    response.content_type = falcon.MEDIA_HTML
    data = text.encode("utf-8", "replace")
    if sending.compresses and len(data) >= _WORTH:
        data = gzip.compress(data, 6)
        response.set_header("Content-Encoding", "gzip")
    response.data = data


_SANDBOX: Final = "default-src 'none'; frame-ancestors 'self'; sandbox"
_PDF: Final = "default-src 'none'; object-src 'self'; frame-ancestors 'self'"
"""Of a document that browsers show by a program of their own, which a sandbox would keep out."""


def send_bytes(response: falcon.Response, sent: Bytes) -> None:
    """Send a document: whatever is in it has no rights of this server's pages."""
    _set_headers(response)
    usual = _PDF if sent.content_type == "application/pdf" else _SANDBOX
    response.set_header("Content-Security-Policy", sent.policy or usual)
    response.set_header("X-Frame-Options", "SAMEORIGIN")
    kind = "attachment" if sent.is_download else "inline"
    response.set_header("Content-Disposition", f'{kind}; filename="{sent.name}"')
    response.content_type = sent.content_type
    if sent.size is None:
        response.stream = sent.blocks
    else:
        response.set_stream(sent.blocks, sent.size)
