"""A node's agents, by the server of its broker: it lives where its consumer consumes, and moves with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from switchyard.cluster.claimant.claimant import Claimant
from switchyard.models import NodeState
from switchyard_workers.agent import Agent

logger = logging.getLogger(__name__)


class Whereabouts:
    """The agent on the server where the consumer consumes, and those that take leave of others."""

    def __init__(self) -> None:
        self.here: Agent | None = None
        self._agents: dict[str, Agent] = {}

    def at(self, server: str, join: Callable[[], Agent]) -> Agent:
        """The agent on this server, where the consumer is now; ``join`` makes it if the node was never there.

        What still runs of what was claimed on another server is settled there, once it answers.
        """
        agent = self._agents.get(server)
        if agent is None or agent.has_left:
            agent = self._agents[server] = join()
        if self.here is not None and self.here is not agent:
            logger.warning("Node %s moves to %s, where its consumer is now.", agent.name, server)
            _go(self.here)
            _come_back(agent)
        self.here = agent
        return agent

    @property
    def claimants(self) -> list[Claimant]:
        """What was claimed, on every server."""
        return [agent.claimant for agent in self._agents.values()]

    @property
    def others(self) -> list[Claimant]:
        """What was claimed on servers where the consumer is no more."""
        return [agent.claimant for agent in self._agents.values() if agent is not self.here]

    def keep_only(self, running: Collection[str]) -> None:
        """Of what was claimed on other servers, these run."""
        for claimant in self.others:
            claimant.keep_only(running)

    def leave(self) -> None:
        """Leave the cluster on every server, first on the one that surely answers."""
        for agent in sorted(self._agents.values(), key=lambda agent: agent is not self.here):
            if not agent.has_left:
                agent.leave()
        self.here = None
        self._agents.clear()


def _go(agent: Agent) -> None:
    """Take no more there, and leave once nothing runs that was claimed there."""
    agent.claimant.ending = True
    agent.instead = partial(_take_leave, agent)
    agent.nudge()


def _come_back(agent: Agent) -> None:
    agent.claimant.ending = False
    agent.instead = None
    agent.nudge()


def _take_leave(agent: Agent) -> None:
    """At each heartbeat: keep the lease for what runs, and settle what is done."""
    agent.claimant.flush()
    if not agent.claimant.accounted:
        agent.depart()
    elif agent.renew(agent.observe()).state is NodeState.UP:
        agent.drain()
