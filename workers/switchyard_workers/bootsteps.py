"""Thin adapters that make a Celery worker a node: they translate, the agent and the claimant act."""

from __future__ import annotations

import logging
import time
from typing import Any

from celery import bootsteps
from celery.bootsteps import CLOSE, RUN, TERMINATE
from celery.concurrency.solo import TaskPool as SoloPool
from celery.worker import state as worker_state
from celery.worker.consumer.tasks import Tasks
from switchyard.adapters.celery_pool import begun_tags, keep_begun_jobs
from switchyard.cluster.claimant import Claimant
from switchyard.errors import SwitchyardError
from switchyard.install import installation
from switchyard.models import DeadTask
from switchyard.transport.opening import open_state, require_supported

from switchyard_workers.agent import Agent, Observation
from switchyard_workers.pool_deaths import count_deaths
from switchyard_workers.tell_callers import fail

logger = logging.getLogger(__name__)


class NodeStep(bootsteps.StartStopStep):
    """Joins the cluster when the consumer is ready to consume, leaves it when the worker is done."""

    requires = (Tasks,)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        self.agent: Agent | None = None
        self._ticked_at = time.monotonic()
        count_deaths(c.app.tasks.values())
        super().__init__(c, **kwargs)

    def start(self, c: Any) -> None:
        """Join at the first start; after a lost connection go on with the same lease."""
        keep_begun_jobs(c.pool)
        if self.agent is None:
            self.agent = self._join(c)
        else:
            self._release_forgotten(self.agent.claimant, c.pool)
        c.task_consumer.channel.claim_for(self.agent.claimant)
        self._tick()
        # Celery cancels what was put on its timer for a connection that is lost; each start puts it on again.
        c.timer.call_repeatedly(installation(c.app).settings.renew, self._tick)
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
        try:
            agent = self._agent(c)
            agent.join()
        except SwitchyardError as exc:
            logger.critical("%s", exc)
            raise SystemExit(1) from None
        labels = installation(c.app).settings.labels
        logger.info("Node %s is up: epoch %s, labels %s.", agent.name, agent.claimant.epoch, labels or "none")
        return agent

    def _agent(self, c: Any) -> Agent:
        settings = installation(c.app).settings
        state = open_state(c.app, settings)
        require_supported(state)
        state.runner.load("cluster/claim", "cluster/settle")
        name = settings.node or c.hostname
        claimant = Claimant(state, name, settings.poll, settings.lease, settings.max_deliveries)
        return Agent(
            state,
            claimant,
            settings,
            c.hostname,
            lambda: self._observe(c),
            lambda dead: c.call_soon(self._tell, c, dead),
        )

    def _tell(self, c: Any, dead: DeadTask) -> None:
        """Make the result of a task that was given up a failure."""
        try:
            fail(c.app, c.task_consumer.channel, dead)
        except Exception:
            logger.exception("Callers of the task given up with receipt %s could not be told.", dead.receipt)
        if self.agent is not None:
            self.agent.state.announced(dead.receipt)

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()

    def _observe(self, c: Any) -> Observation:
        """The consumer's figures for a heartbeat."""
        slots = getattr(c.controller, "max_concurrency", None) or c.pool.num_processes or 1
        active = len(worker_state.active_requests)
        return Observation(
            slots=slots,
            limit=c.qos.value if c.qos is not None and c.qos.value else slots,
            queues=tuple(queue.name for queue in c.app.amqp.queues.consume_from.values()),
            active=active,
            stopping=worker_state.should_stop is not None or worker_state.should_terminate is not None,
            hangs=self._hangs(c, active),
        )

    def _hangs(self, c: Any, active: int) -> bool:
        """Whether the event loop stands still although it should not.

        It does while the solo pool runs a task in it, while the consumer connects again, and once the
        worker is stopping; none of that says that the process is stuck.
        """
        excused = c.connection is None or c.blueprint.state != RUN or (active and _runs_tasks_itself(c.pool))
        return not excused and time.monotonic() - self._ticked_at > installation(c.app).settings.lease

    @staticmethod
    def _release_forgotten(claimant: Claimant, pool: Any) -> None:
        """Give back claims that neither the pool nor we know of since the connection was lost."""
        running = {request._message.delivery_tag for request in worker_state.active_requests}
        claimant.forget_all_but(running | begun_tags(pool))


def _runs_tasks_itself(pool: Any) -> bool:
    return isinstance(pool, SoloPool)
