"""Decides where a task goes: from the rule and the snapshot to a :class:`Placement`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from switchyard import strategies
from switchyard.models import Intent, Node, Placement, Selector, Task
from switchyard.placement.options import checked
from switchyard.placement.snapshot import Cluster
from switchyard.settings import Settings

#: Nodes that one placement tries at most. A full node costs the script four look-ups, and when the best
#: four are full the shared queue finds the first free one anyway.
CANDIDATES = 4


class Placer:
    """The placing side of one application: rules, strategies and the snapshot they look at."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cluster = Cluster(settings.refresh)
        self._strategies: dict[str, strategies.Strategy] = {}
        for name in {settings.strategy, *(rule.strategy for rule in settings.rules if rule.strategy)}:
            self.strategy(name)

    def strategy(self, name: str) -> strategies.Strategy:
        """This process's instance of a strategy. Raises ConfigurationError for an unknown name."""
        found = self._strategies.get(name)
        # Of two threads that come first one makes it in vain: no lock that a fork could copy.
        return found or self._strategies.setdefault(name, strategies.make(name))

    def intent(self, task: str, options: Mapping[str, Any] | None = None) -> Intent:
        """The task's rule, and over it the caller's ``placement=``. Raises ConfigurationError."""
        rule = self.settings.rule_for(task)
        own = checked(task, options or {})
        labels = {**rule.labels, **own.get("labels", {})}
        strategy = own.get("strategy") or rule.strategy or self.settings.strategy
        self.strategy(strategy)
        return Intent(
            task=task,
            strategy=strategy,
            selector=Selector(own.get("node", rule.node), tuple(sorted(labels.items()))),
            overflow=own.get("overflow", rule.overflow),
            key=own.get("key"),
        )

    def placement(
        self, intent: Intent, queue: str, priority: int, read: Callable[[], list[Node]]
    ) -> Placement:
        """Rank the nodes that serve ``queue`` for this task."""
        self.cluster.refresh(read)
        nodes = self.cluster.serving(queue, intent.selector)
        strategy = self.strategy(intent.strategy)
        ranked = strategy.rank(Task(intent.task, queue, priority, intent.key), nodes) if nodes else []
        bounded = getattr(strategy, "overflow", True) if intent.overflow is None else intent.overflow
        if bounded:
            ranked = [node for node in ranked if node.outstanding < node.limit]
        candidates = tuple(node.name for node in ranked[:CANDIDATES])
        return Placement(candidates, bounded, intent.selector, intent.strategy)
