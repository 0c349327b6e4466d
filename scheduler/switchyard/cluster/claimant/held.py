"""The claimed messages that a process has: handed to its consumer, neither settled nor given back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Held:
    """A message's task (None: its run time does not count), its queue, since when, what was handed out.

    ``done`` says that its task is, although the consumer has not come to hear of it.
    """

    task: str | None
    queue: str
    since: float
    message: Any = None
    done: bool = False


class HeldMessages:
    """By delivery tag. Outlives channels: what giving one back takes is kept here. Threads may share it."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, tag: object) -> bool:
        return tag in self._held

    def tags(self) -> list[str]:
        """Those that are held now."""
        return list(self._held)

    def add(self, tag: str, held: Held) -> None:
        """One more."""
        self._held[tag] = held

    def keep(self, tag: str, message: Any) -> None:
        """What the consumer was handed for a tag."""
        if (held := self._held.get(tag)) is not None:
            held.message = message

    def is_done(self, tag: str) -> bool:
        """Its task is done; False if that is known, or if it is not held."""
        held = self._held.get(tag)
        if held is None or held.done:
            return False
        held.done = True
        return True

    def message(self, tag: str) -> Any:
        """What :meth:`keep` was given; None without it."""
        held = self._held.get(tag)
        return None if held is None else held.message

    def messages(self) -> list[tuple[str, Any]]:
        """What :meth:`keep` was given, with the tags."""
        found = [(tag, held.message) for tag, held in list(self._held.items())]
        return [(tag, message) for tag, message in found if message is not None]

    def drop(self, tag: str) -> Held | None:
        """One that is held no more; None if it was not."""
        return self._held.pop(tag, None)
