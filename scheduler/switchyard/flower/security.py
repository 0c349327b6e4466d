"""Who may see and do what: what all our handlers have in common, and without what we do not start."""

from __future__ import annotations

import ipaddress
from base64 import b64decode
from typing import Any
from urllib.parse import urlencode, urlsplit

from flower.views import BaseHandler
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

from switchyard.errors import ConfigurationError

#: What our pages may load and do: scripts and styles from this server only, nothing inline, no frames.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class Guarded(BaseHandler):
    """A handler that nobody gets past without Flower's login, whatever its method.

    Requests that a browser sends from another site are refused by the application (cross_origin_protection),
    and with OAuth Flower asks for the XSRF token as well.
    """

    def set_default_headers(self) -> None:
        """No script but ours, and no page of another site reads an answer, also where Flower lets it."""
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def options(self, *_: Any, **__: Any) -> None:
        """Not for us: nothing here is for pages of other sites."""
        raise HTTPError(405)

    def prepare(self) -> None:
        """Ask for the login, before any method."""
        if not self.current_user:
            self.turn_away()

    def turn_away(self) -> None:
        """Send who has no login to the login page, and back from there."""
        self.redirect(f"{self.get_login_url()}?{urlencode({'next': self.request.uri})}")


class GuardedData(Guarded):
    """What programs read: they are told that they have no login, instead of being sent to a page."""

    def turn_away(self) -> None:
        """401."""
        raise HTTPError(401, "no login; send Flower's basic authentication, or log in with a browser")


class Refused(BaseHandler):
    """The answer to a request that no handler shall see, Flower's neither: one line, or JSON for programs."""

    def initialize(self, status: int, reason: str) -> None:
        """What to answer."""
        self._status, self._why = status, reason

    def prepare(self) -> None:
        """Refuse, whatever the method."""
        raise HTTPError(self._status)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Why it was refused."""
        self.set_status(status_code)
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        if "/api/" in self.request.path:
            self.finish({"error": self._why})
        else:
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            self.finish(self._why)


def refusal(request: HTTPServerRequest, options: Any, insecure: bool) -> tuple[int, str] | None:
    """The status and the reason with which a request is refused before any handler sees it, if it is."""
    if options.basic_auth and not _in_ascii(request.headers.get("Authorization", "")):
        return 401, "no login has letters outside ASCII"
    if has_login(options) or insecure or options.unix_socket or _is_meant(request.host):
        return None
    return 403, "this dashboard has no login, so it answers to localhost only; see --insecure"


def _is_meant(host: str) -> bool:
    """Whether the Host is one that only this machine has.

    A page of another site can let its own name point to 127.0.0.1; to the browser it is one with us then.
    """
    return is_loopback(urlsplit(f"//{host}").hostname or "")


def _in_ascii(authorization: str) -> bool:
    """Whether Flower can compare these credentials: it fails at others."""
    try:
        return b64decode(authorization.partition(" ")[2]).isascii()
    except ValueError:
        return True


def require_credentials(options: Any) -> None:
    """Refuse logins that let nobody in, or with half of a password. Raises ConfigurationError."""
    for number, credentials in enumerate(options.basic_auth or (), 1):
        name, _, password = credentials.partition(":")
        if not (name and password):
            wrong = "is not USER:PASSWORD"
        elif not credentials.isascii():
            wrong = "has letters outside ASCII, which browsers send in different ways"
        else:
            continue
        raise ConfigurationError(
            f"login {number} of {len(options.basic_auth)} of --basic-auth {wrong}; a comma separates logins: "
            'put a password that has one into flowerconfig.py, basic_auth = ["USER:PASSWORD"]'
        )


def has_login(options: Any) -> bool:
    """Whether Flower asks for a login at all."""
    return bool(options.basic_auth or options.auth)


def require_login(options: Any, insecure: bool) -> None:
    """Refuse to show the cluster to a network without a login. Raises ConfigurationError."""
    if has_login(options) or insecure or options.unix_socket or is_loopback(options.address):
        return
    where = options.address or "every address of this machine"
    raise ConfigurationError(
        f"the dashboard would be open to everybody who can reach {where}; give it a login (--basic-auth "
        "USER:PASSWORD, or --auth), bind it to 127.0.0.1, or say --insecure if something else guards it"
    )


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address. An empty one is every address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
