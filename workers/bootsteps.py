"""Thin adapters that make a Celery worker a node: they translate, the agent and the claimant act."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.bootsteps import CLOSE, TERMINATE
from celery.worker import state as worker_state
from celery.worker.consumer.tasks import Tasks

from scheduler.broker import open_state, require_supported
from scheduler.claiming import Claimant
from scheduler.errors import SwitchyardError
from scheduler.plugin import installation
from workers.agent import Agent, Observation

logger = logging.getLogger(__name__)


class NodeStep(bootsteps.StartStopStep):
    """Joins the cluster when the consumer is ready to consume, leaves it when the worker is done."""

    requires = (Tasks,)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        self.agent: Agent | None = None
        super().__init__(c, **kwargs)

    def start(self, c: Any) -> None:
        """Join at the first start; after a lost connection go on with the same lease."""
        if self.agent is None:
            self.agent = self._join(c)
        else:
            self._release_forgotten(self.agent.claimant)
        c.task_consumer.channel.claim_for(self.agent.claimant)
        self.agent.nudge()

    def stop(self, c: Any) -> None:
        """Claim nothing more. If the worker is stopping, hand the inbox back at once."""
        if self.agent is None:
            return
        if c.task_consumer is not None and c.connection is not None:
            c.task_consumer.channel.stop_claiming()
        if c.blueprint.state in (CLOSE, TERMINATE):
            self.agent.drain()

    def shutdown(self, c: Any) -> None:
        """Every task that could finish has: leave the cluster."""
        if self.agent is not None:
            self.agent.leave()
            self.agent = None

    def info(self, c: Any) -> dict[str, Any]:
        """What ``inspect stats`` shows."""
        if self.agent is None:
            return {}
        return {"switchyard": {"node": self.agent.name, "epoch": self.agent.claimant.epoch}}

    def _join(self, c: Any) -> Agent:
        settings = installation(c.app).settings
        state = open_state(c.app, settings)
        require_supported(state)
        claimant = Claimant(state, settings.node or c.hostname, settings.poll)
        agent = Agent(state, claimant, settings, c.hostname, lambda: observe(c))
        try:
            state.load("claim", "settle")
            agent.join()
        except SwitchyardError as exc:
            logger.critical("%s", exc)
            raise SystemExit(1) from None
        logger.info(
            "Node %s is up: epoch %s, labels %s.", agent.name, claimant.epoch, settings.labels or "none"
        )
        return agent

    @staticmethod
    def _release_forgotten(claimant: Claimant) -> None:
        """Give back claims that neither the pool nor we know of since the connection was lost."""
        running = {request._message.delivery_tag for request in worker_state.active_requests}
        claimant.forget_all_but(running)


def observe(c: Any) -> Observation:
    """The consumer's figures for a heartbeat."""
    slots = getattr(c.controller, "max_concurrency", None) or c.pool.num_processes or 1
    limit = c.qos.value if c.qos is not None and c.qos.value else slots
    return Observation(
        slots=slots,
        limit=limit,
        queues=tuple(queue.name for queue in c.app.amqp.queues.consume_from.values()),
        active=len(worker_state.active_requests),
        stopping=worker_state.should_stop is not None or worker_state.should_terminate is not None,
    )
