"""Thin adapters that make a Celery worker a node: they translate, the agent and the claimant act."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

from celery import bootsteps
from celery.utils.nodenames import default_nodename
from celery.worker.consumer.tasks import Tasks
from redis.exceptions import RedisError

from switchyard.adapters.celery import consumer as celery_worker
from switchyard.adapters.celery.connecting import pause_after_refusals
from switchyard.adapters.celery.consumer import Consumer
from switchyard.adapters.celery.lifetime import Lifetime
from switchyard.adapters.celery.pool import begun_tags, keep_begun_jobs, report_errors
from switchyard.adapters.celery.request import count_deaths
from switchyard.adapters.celery.settling import settle_promptly
from switchyard.adapters.redis_refusals import RefusedForNow
from switchyard.cluster.claimant.claimant import Claimant
from switchyard.cluster.keys import checked_queue
from switchyard.cluster.state import State
from switchyard.errors import BrokerRefuses, BrokerUnreachable, NodeNameInUse, SwitchyardError
from switchyard.install import installation
from switchyard.models import DeadTask
from switchyard.transport.claiming import Claiming
from switchyard.transport.opening import open_state_beside, require_supported
from switchyard_workers.agent import Agent
from switchyard_workers.observation import Observation
from switchyard_workers.tell_callers import fail
from switchyard_workers.whereabouts import Whereabouts

logger = logging.getLogger(__name__)

#: Workers of one machine that may run under Celery's default name.
_SAME_NAME_MAX = 1000


class NodeStep(bootsteps.StartStopStep):
    """Joins the cluster when the consumer is ready to consume, leaves it when the worker is done."""

    requires = (Tasks,)

    def __init__(self, c: Consumer, **kwargs: Any) -> None:
        self._whereabouts = Whereabouts()
        self._ticked_at = time.monotonic()
        self._lifetime = Lifetime(self._tick, self._told)
        if self.include_if(c):
            count_deaths(c.app.tasks.values())
            self._lifetime.watch_errors(c)
            celery_worker.without_prefetch(c)
            celery_worker.keep_what_is_refused(c)
            celery_worker.when_a_queue_is_left(c, self._nudge)
            pause_after_refusals(c)
        super().__init__(c, **kwargs)

    @property
    def agent(self) -> Agent | None:
        """The one on the server where the consumer consumes; None before it has joined, and once it left."""
        return self._whereabouts.here

    def include_if(self, c: Consumer) -> bool:
        """Where the broker is neither Redis nor Valkey, the worker is one of plain Celery's."""
        return installation(c.app).broker.is_ours

    def start(self, c: Consumer) -> None:
        """Join at the first start; after a lost connection go on with the same lease."""
        self._lifetime.watch(c)
        keep_begun_jobs(c.pool)
        settle_promptly(c)
        report_errors(c.pool)
        agent = self._whereabouts.at(c.connection.server, lambda: self._join(c))
        running = celery_worker.running_tags() | begun_tags(c.pool)
        self._whereabouts.keep_only(running)
        agent.claimant.forget_all_but(running)
        _claiming(c).claim_for(agent.claimant, self._whereabouts.others)
        # Celery cancels what was put on its timer for a connection that is lost; each start puts it on again.
        c.timer.call_repeatedly(installation(c.app).settings.renew, self._tick)
        agent.nudge()

    def stop(self, c: Consumer) -> None:
        """Claim nothing more. If the worker is stopping, hand the inbox back at once."""
        if self.agent is None:
            return
        if c.task_consumer is not None and c.connection is not None:
            _claiming(c).stop()
        if celery_worker.is_closing(c):
            self.agent.drain()
        else:
            celery_worker.forget_what_is_not_due(c)

    def shutdown(self, c: Consumer) -> None:
        """Every task that could finish has: leave the cluster."""
        if self._lifetime.error is not None:
            for claimant in self._whereabouts.claimants:
                self._count_deaths(claimant, self._lifetime.error)
        self._whereabouts.leave()

    @staticmethod
    def _count_deaths(claimant: Claimant, error: BaseException) -> None:
        """This worker ends of an error; each task that it leaves in the middle may have been its cause."""
        for tag in [tag for tag, message in claimant.held.messages() if message.begun]:
            logger.error("This worker ends of %r: a death is counted for the task of claim %s.", error, tag)
            claimant.crashed(tag, "")

    def info(self, c: Consumer) -> dict[str, Any]:
        """What ``inspect stats`` shows."""
        if self.agent is None:
            return {}
        return {"switchyard": {"node": self.agent.name, "epoch": self.agent.claimant.epoch}}

    def _join(self, c: Consumer) -> Agent:
        try:
            agent = self._joined(c)
        except BrokerUnreachable as exc:
            # It was there a moment ago: Celery connects again.
            raise (RefusedForNow if isinstance(exc, BrokerRefuses) else ConnectionError)(str(exc)) from exc
        except SwitchyardError as exc:
            logger.critical("%s", exc)
            raise SystemExit(1) from None
        labels = installation(c.app).settings.labels
        logger.info("Node %s is up: epoch %s, labels %s.", agent.name, agent.claimant.epoch, labels or "none")
        return agent

    def _joined(self, c: Consumer) -> Agent:
        """A node of the first of the names that it may have which is free. Raises SwitchyardError."""
        state = self._state(c)
        first, *others = names(installation(c.app).settings.node, c.hostname)
        for name in [first, *others]:
            agent = self._agent(c, state, name)
            try:
                # A default name is most often held by another worker of this machine, which stays.
                agent.join(None if name == first else 0.0)
            except NodeNameInUse as exc:
                taken = exc
                continue
            if name != first:
                logger.info("Node name %s is taken by another worker; this one is %s.", first, name)
            return agent
        raise taken

    @staticmethod
    def _state(c: Consumer) -> State:
        state = open_state_beside(c.connection, installation(c.app).settings)
        require_supported(state)
        for queue in c.app.amqp.queues.consume_from:
            checked_queue(state.keys, queue)
        state.runner.load("cluster/claim", "cluster/settle")
        return state

    def _agent(self, c: Consumer, state: State, name: str) -> Agent:
        settings = installation(c.app).settings
        claimant = Claimant(state, name, settings.poll, settings.lease, settings.max_deliveries)
        return Agent(
            state,
            claimant,
            settings,
            c.hostname,
            lambda: self._observe(c),
            lambda dead: c.call_soon(self._tell, c, state, dead),
            celery_worker.stop,
            lambda message: message.is_known,
            lambda tag: c.call_soon(self._make_room, c, tag),
            option_for_the_name(settings.node, c.hostname),
        )

    @staticmethod
    def _make_room(c: Consumer, tag: str) -> None:
        """A claim was given back that nobody knew: another message may come in its place."""
        if c.task_consumer is not None:
            c.task_consumer.channel.forget(tag)

    def _tell(self, c: Consumer, state: State, dead: DeadTask) -> None:
        """Make the result of a task that was given up a failure."""
        try:
            fail(c.app, c.task_consumer.channel, dead)
        except Exception:
            logger.exception("Callers of the task given up with receipt %s could not be told.", dead.receipt)
        with suppress(RedisError, OSError):  # else it is told again
            state.announced(dead.receipt)

    def _nudge(self) -> None:
        if self.agent is not None:
            self.agent.nudge()

    def _told(self) -> None:
        """In a signal handler: this worker is to end."""
        if self.agent is not None:
            self.agent.told_to_stop()

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()

    def _observe(self, c: Consumer) -> Observation:
        """The consumer's figures for a heartbeat."""
        slots = celery_worker.slots(c)
        running = celery_worker.running_tags()
        active = len(running)
        return Observation(
            slots=slots,
            limit=celery_worker.prefetch_limit(c) or slots,
            queues=tuple(queue.name for queue in c.app.amqp.queues.consume_from.values()),
            active=active,
            stopping=self._lifetime.ends,
            hangs=self._hangs(c, active),
            running=running,
        )

    def _hangs(self, c: Consumer, active: int) -> bool:
        """Whether the event loop stands still although it should not.

        It does while the solo pool runs a task in it, and from the moment that the worker is told to stop.
        While the consumer connects again, or closes, no loop runs.
        """
        excused = self._lifetime.ends or (active and celery_worker.runs_tasks_itself(c))
        return (
            self._lifetime.loops
            and not excused
            and time.monotonic() - self._ticked_at > installation(c.app).settings.lease
        )


def names(node: str | None, hostname: str) -> list[str]:
    """The names that a worker may have as a node, best first: one, if somebody chose it."""
    if node or hostname != default_nodename(None):
        return [node or hostname]
    return [hostname, *(f"{hostname}-{number}" for number in range(2, _SAME_NAME_MAX + 1))]


def option_for_the_name(node: str | None, hostname: str) -> str:
    """Where whoever started this worker chose its name."""
    if node is None:
        return "-n"
    # ``switchyard worker --node`` says it to Celery as well.
    return "--node" if hostname.startswith(f"{node}@") else "SWITCHYARD_NODE"


def _claiming(c: Consumer) -> Claiming:
    side: Claiming = c.task_consumer.channel.consuming
    return side
