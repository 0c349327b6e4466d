"""Who may see and do what: what all our handlers have in common, and without what we do not start."""

from __future__ import annotations

import ipaddress
from typing import Any

from flower.views import BaseHandler
from tornado.web import HTTPError

from scheduler.errors import ConfigurationError

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
        """Ask for the login. A page sends who has none to the login page."""
        if self.current_user:
            return
        if self.application.options.auth and self.request.method == "GET":
            self.redirect(f"{self.get_login_url()}?next={self.request.uri}")
        else:
            raise HTTPError(401)


def require_login(options: Any, insecure: bool) -> None:
    """Refuse to show the cluster to a network without a login. Raises ConfigurationError."""
    if options.basic_auth or options.auth or insecure or options.unix_socket or is_loopback(options.address):
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
