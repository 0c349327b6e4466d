"""A node's lease: registers, renews it with the load, reaps others, says goodbye. Knows no Celery."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from switchyard.cluster.claimant.claimant import Claimant
from switchyard.cluster.claimant.unsettled import epoch_and_receipt
from switchyard.cluster.forgotten import Forgotten
from switchyard.cluster.replies.answers import Renewal
from switchyard.cluster.state import State
from switchyard.cluster.wait_lists import WaitLists
from switchyard.errors import NodeNameInUse, OtherLayout
from switchyard.models import DeadTask, NodeState
from switchyard.settings import Settings
from switchyard_workers import load
from switchyard_workers.apart import apart
from switchyard_workers.nudge import Nudge
from switchyard_workers.observation import Observation
from switchyard_workers.reaper import Reaper
from switchyard_workers.served import Served

logger = logging.getLogger(__name__)

_HANGS = "hangs; its lease is not renewed, so that others take its tasks"


class Agent:
    """The lease of one node, kept by a thread of its own: a busy event loop must not lose it."""

    def __init__(
        self,
        state: State,
        claimant: Claimant,
        settings: Settings,
        hostname: str,
        observe: Callable[[], Observation],
        announce: Callable[[DeadTask], None] = lambda dead: None,
        stop: Callable[[], None] = lambda: None,
        knows: Callable[[Any], bool] = lambda message: True,
        forgot: Callable[[str], object] = lambda tag: None,
        option: str = "--node",
    ) -> None:
        self.state = state
        self.claimant = claimant
        self.settings = settings
        self.name = claimant.name
        self.hostname = hostname
        self.observe = observe
        self.announce = announce
        self.stop = stop
        self.forgot = forgot
        self._option = option
        self.incarnation = uuid.uuid4().hex
        self._lease_ms = round(settings.lease * 1000)
        # Halfway between a heartbeat that is due and a lease that ends: neither mistaken for an outage.
        self._outage_ms = round((settings.renew + settings.lease) * 500)
        self._nudge = Nudge()
        self._left = threading.Event()
        self._hung = False
        #: What to do at each heartbeat instead of the usual.
        self.instead: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._renewal = 0.0
        self._reaper = Reaper(state, settings, self.name, self.incarnation, self._restored)
        self._served = Served(2 * settings.lease)
        self._wait_lists = WaitLists(state.keys, self.name, settings.labels)
        # What came since the last heartbeat but one is not known to wait: it may be about to start.
        self._known = 0
        self._forgotten = Forgotten(claimant, knows, settings.lease)
        claimant.on_fenced = self.nudge

    # -- joining and leaving --------------------------------------------------------------------------

    def join(self, patience: float | None = None) -> None:
        """Register and keep the lease until :meth:`leave`. Raises NodeNameInUse and OtherLayout.

        A dead holder is taken over, and one whose lease ends within ``patience`` s: two leases if not said.
        """
        self._register(patience)
        self._thread = threading.Thread(target=self._keep, name="switchyard-agent", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Settle what is done, give back the rest, and be gone from the cluster at once."""
        self._settle_all()
        self._left.set()
        self.nudge()
        if self._thread is not None:
            self._thread.join(self.settings.lease)
        try:
            self.depart()
        except RedisError as exc:
            text = "Node %s could not say goodbye: %s. Its tasks come back when its lease ends, within %s s."
            logger.warning(text, self.name, exc, self.settings.lease)

    def depart(self) -> None:
        """Give back what this node has, and be gone from the cluster."""
        self.state.reap(self.name, self.settings.max_deliveries, self.claimant.epoch, left=True)
        self._left.set()

    def _settle_all(self) -> None:
        """Settle while the lease is kept; a server that takes nothing now may do so in two leases' time."""
        deadline = time.monotonic() + 2 * self.settings.lease
        self.claimant.abandon()
        while self.claimant.is_due and time.monotonic() < deadline:
            with suppress(RedisError, OSError):
                self.claimant.flush()
            if self.claimant.is_due:
                self._left.wait(self.settings.renew / 10)

    @property
    def has_left(self) -> bool:
        """Whether this node is not, and will not be, in the cluster on this server any more."""
        return self._left.is_set()

    def nudge(self) -> None:
        """Renew now instead of at the next beat: something changed. Signal handlers may call it, too."""
        self._nudge.give()

    def told_to_stop(self) -> None:
        """Claim nothing more, and hand the inbox back at once. Signal handlers may call it."""
        self.claimant.ending = True
        self.nudge()

    def drain(self) -> None:
        """Hand the inbox back and take no more: this node is stopping. Heartbeats try again if it fails."""
        try:
            self.state.drain(self.name, stopping=True)
        except (RedisError, OSError) as exc:
            logger.warning("Node %s could not hand its inbox back: %s. Trying again.", self.name, exc)

    # -- the lease ------------------------------------------------------------------------------------

    def _register(self, patience: float | None = None) -> None:
        deadline = time.monotonic() + (2 * self.settings.lease if patience is None else patience)
        while True:
            seen = self.observe()
            answer = self.state.register(
                self.name,
                self.incarnation,
                self._lease_ms,
                seen.queues,
                self._fields(seen),
                self._dead_holder(),
            )
            if answer.answer in ("new", "kept"):
                self.claimant.epoch = answer.epoch
                return
            if answer.answer == "reap":
                self.state.reap(self.name, self.settings.max_deliveries, answer.epoch)
            elif time.monotonic() + answer.held_ms / 1000 > deadline:
                raise NodeNameInUse(
                    f"node name {self.name!r} is in use by {answer.held_by}, whose lease is alive; "
                    f"choose another {self._option}, or stop that worker"
                )
            else:
                self._left.wait(min(answer.held_ms / 1000, 0.2) + 0.01)

    def _dead_holder(self) -> str:
        holder = self.state.holder(self.name)
        return holder.incarnation if load.is_dead(holder.machine, holder.pid, holder.ticks) else ""

    def _register_again(self) -> None:
        """After the lease was lost: as before, unless another process has the name now."""
        holder = self.state.holder(self.name)
        if holder.incarnation in ("", self.incarnation):
            logger.warning("Node %s was fenced: its lease ran out. It registers again.", self.name)
            self._register()
            self.claimant.claim_next = True
            return
        text = "Node %s was taken over by %s (process %d) while this worker was silent. This worker stops; "
        text += "if both should run, give each a %s of its own."
        logger.critical(text, self.name, holder.hostname, holder.pid, self._option)
        self._left.set()
        self.stop()

    def _keep(self) -> None:
        while not self._left.is_set():
            self._nudge.wait(self.settings.renew)
            if self._left.is_set():
                return
            try:
                (self.instead or self._beat)()
            except (RedisError, OSError) as exc:
                level = logging.DEBUG if self.instead else logging.WARNING
                logger.log(level, "Node %s could not renew its lease: %s. Trying again.", self.name, exc)
                self._left.wait(self.settings.renew / 2)
                self.nudge()
            except (NodeNameInUse, OtherLayout) as exc:
                logger.error("Node %s was lost and %s. It takes no more tasks.", self.name, exc)
            except Exception:
                # Whatever it is: with this thread the node would be lost, and its part in finding the lost.
                logger.exception("Node %s: a heartbeat failed. Trying again.", self.name)
                self._left.wait(self.settings.renew / 2)
                self.nudge()

    def _beat(self) -> None:
        seen = self.observe()
        if seen.hangs != self._hung:
            self._hung = seen.hangs
            logger.error("Node %s: the event loop %s.", self.name, _HANGS if seen.hangs else "goes on")
        if seen.hangs:
            return
        renewal = self.renew(seen)
        if renewal.fenced:
            self._register_again()
            return
        if seen.stopping and renewal.state is NodeState.UP:
            apart(self.name, "drain", self.drain)
        apart(self.name, "hand back tasks of queues that it left", self._hand_back, seen.queues)
        apart(self.name, "look for wait lists", self._find, renewal, seen)
        for receipt in renewal.given_up:
            apart(self.name, f"tell the callers of the dead task {receipt}", self._announce, receipt)
        apart(self.name, "compare its claims with what it knows", self._give_back_forgotten, renewal)
        # Whoever polls does it sooner, unless a task runs there or the consumer is closed already.
        apart(self.name, "settle what is done", self.claimant.flush)
        if self._reaper.reap(renewal.overdue):
            self.nudge()

    def renew(self, seen: Observation) -> Renewal:
        """Prolong the lease, with what is to be said of the node."""
        said = (self._lease_ms, seen.queues, self._fields(seen), self._outage_ms, self._wait_lists.look)
        sent_at = time.monotonic()
        renewal = self.state.renew(self.name, self.claimant.epoch, *said)
        self._renewal = time.monotonic() - sent_at
        return renewal

    def _restored(self) -> None:
        self.claimant.claim_next = True

    def _hand_back(self, queues: Collection[str]) -> None:
        """Hand back what was placed here for queues that this node, or one of its name before, served."""
        if not self._served.may_have_left(queues):
            return
        left = self._served.left(queues)
        if count := self.state.hand_back(self.name, self.claimant.epoch, tuple(queues), left):
            text = "Node %s does not serve the queues of %d tasks that were placed on it: given back."
            logger.info(text, self.name, count)

    def _announce(self, receipt: str) -> None:
        """Tell the callers of a task given up on, one node at a time; :meth:`State.announced` ends it."""
        if not self.state.may_announce(receipt):
            return
        if (dead := self.state.dead(receipt)) is None:
            self.state.announced(receipt)
        else:
            logger.error("Task given up: %s (receipt %s).", dead.reason, receipt)
            self.announce(dead)

    def _give_back_forgotten(self, renewal: Renewal) -> None:
        for tag in self._forgotten.look(renewal.claims):
            text = "Node %s does not know any more what became of claim %s: it is given back."
            logger.error(text, self.name, epoch_and_receipt(tag)[1])
            self.claimant.forget(tag)
            self.forgot(tag)

    def _find(self, renewal: Renewal, seen: Observation) -> None:
        """Let the claimant look at wait lists; wake it for those that it did not know."""
        for stranger in self._wait_lists.learn(renewal):
            text = "%s can't be read and is skipped: %s; see switchyard check."
            logger.error(text, stranger.what, stranger.why)
        wait_lists = self._wait_lists.mine(seen.queues)
        news = set(wait_lists) - set(self.claimant.wait_lists)
        self.claimant.wait_lists = wait_lists
        if news:
            self.claimant.claim_next = True
            self.state.ring(self.name)

    def _fields(self, seen: Observation) -> Mapping[str, str | int]:
        mine = self.claimant.finished
        known, self._known = self._known, self.claimant.newest
        # Some may have been claimed on another server, where this node was before.
        running = (epoch_and_receipt(tag)[1] for tag in seen.running if tag in self.claimant.held)
        now = load.sample(seen.active, mine.count, dict(mine.runtimes), dict(mine.by_queue), self._renewal)
        return {
            "slots": seen.slots,
            "limit": seen.limit,
            "queues": json.dumps(seen.queues),
            "labels": json.dumps(self.settings.labels),
            "load": json.dumps(dataclasses.asdict(now)),
            "hostname": self.hostname,
            **load.process(),
            "lease": self._lease_ms,
            "running": " ".join(running),
            "known": known,
            "forgotten": self._forgotten.count,
            "lists": self.state.keys.lists.dumps(),
            "complaint": self.claimant.avoided.complaint,
        }
