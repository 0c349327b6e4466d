"""Who may see and do what: what all our handlers have in common, and without what we do not start."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlencode, urlsplit

from flower.views import BaseHandler
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
        """Ask for the login, before any method. Without one, serve only who says this machine's name."""
        if not self.current_user:
            self.turn_away()
        elif not has_login(self.application.options) and not self._is_meant():
            raise HTTPError(
                403, "this dashboard has no login, so it answers to localhost only; see --insecure"
            )

    def turn_away(self) -> None:
        """Send who has no login to the login page, and back from there."""
        self.redirect(f"{self.get_login_url()}?{urlencode({'next': self.request.uri})}")

    def _is_meant(self) -> bool:
        """Whether the Host is one that only this machine has.

        A page of another site can let its own name point to 127.0.0.1; to the browser it is one with us then.
        """
        if self.settings["insecure"] or self.application.options.unix_socket:
            return True
        return is_loopback(urlsplit(f"//{self.request.host}").hostname or "")


class GuardedData(Guarded):
    """What programs read: they are told that they have no login, instead of being sent to a page."""

    def turn_away(self) -> None:
        """401."""
        raise HTTPError(401, "no login; send Flower's basic authentication, or log in with a browser")


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
