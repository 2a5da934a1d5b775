"""IKE_FOLLOWUP_KE: additional key exchanges after CREATE_CHILD_SA (RFC 9370 2.2.4)."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from p4esp.ike.additional import FOLLOWUP_TIMEOUT, Followup
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import KeyExchange, Notify
from p4esp.ike.codec.proposal import Proposal
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.errors import ParseError, Refusal
from p4esp.ike.ke_payloads import payload_of
from p4esp.ike.proposals import additional_methods
from p4esp.ike.state import IkeSaState, Subject
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict

_LINK = NotifyType.ADDITIONAL_KEY_EXCHANGE
_LINK_SIZE = 16


class Followed(Protocol):
    """A CREATE_CHILD_SA of ours that was answered and may need further exchanges."""

    @property
    def subject(self) -> Subject:
        """What it changes."""

    def finish(self, sa: IkeSaState, additional: bytes) -> None:
        """Make the SA; `additional` is SK(1) | SK(2) | ..."""

    def refused(self, sa: IkeSaState, error: Notify) -> None:
        """The peer will not go on."""

    def abandon(self, sa: IkeSaState) -> None:
        """Give back what it holds."""


def follow_up(sa: IkeSaState, task: Followed, chosen: Proposal, answer: PayloadSet) -> None:
    """Finish `task` at once, or once the additional exchanges of the choice have run.

    ParseError: the answer has no link for them.
    """
    methods = deque(additional_methods(chosen))
    if methods:
        sa.tasks.appendleft(IkeFollowupKe(task, methods, _link(answer)))
    else:
        task.finish(sa, b"")


def _link(payloads: PayloadSet) -> bytes:
    notify = payloads.notify(_LINK)
    if notify is None:
        raise ParseError("message has no N(ADDITIONAL_KEY_EXCHANGE)")
    return notify.data


class IkeFollowupKe(InitiatorTask):
    """Our half: one exchange for each method, then the SA."""

    exchange = ExchangeType.IKE_FOLLOWUP_KE

    def __init__(
        self, task: Followed, methods: deque[type[KeyExchangeMethod]], link: bytes
    ) -> None:
        self._task = task
        self._methods = methods
        self._link = link
        self._exchange: KeyExchangeMethod | None = None
        self._secrets = b""
        self.subject = task.subject

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """KEi(n), N(ADDITIONAL_KEY_EXCHANGE)."""
        self._exchange = self._methods[0](sa.env.random)
        ke = KeyExchange(self._exchange.transform_id, self._exchange.public)
        return [ke, Notify(_LINK, self._link)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Keep the secret; go on with the next method or make the SA."""
        error = reply.payloads.error()
        if error is not None:
            self._task.refused(sa, error)
            return Verdict.DONE
        self._take(reply.payloads)
        if self._methods:
            self._link = _link(reply.payloads)
            sa.tasks.appendleft(self)
        else:
            self._task.finish(sa, self._secrets)
        return Verdict.DONE

    def _take(self, answer: PayloadSet) -> None:
        ke = payload_of(answer, self._methods[0].transform_id)
        if self._exchange is None:
            raise RuntimeError("IKE_FOLLOWUP_KE was not built")
        self._secrets += self._exchange.shared_secret(ke.data)
        self._methods.popleft()

    def abandon(self, sa: IkeSaState) -> None:
        """Give back what the CREATE_CHILD_SA holds."""
        self._task.abandon(sa)


def await_followups(
    sa: IkeSaState,
    chosen: Proposal,
    finish: Callable[[bytes], None],
    abandon: Callable[[], None],
) -> list[AnyPayload]:
    """Finish a CREATE_CHILD_SA of the peer's at once, or once the additional exchanges of our
    choice have run; then what the answer says besides.
    """
    methods = deque(additional_methods(chosen))
    if not methods:
        finish(b"")
        return []
    sa.additional.give_up_followup()
    link, expires = sa.env.random(_LINK_SIZE), sa.now + FOLLOWUP_TIMEOUT
    sa.additional.followup = Followup(link, expires, methods, finish, abandon)
    return [Notify(_LINK, link)]


class IkeFollowupKeResponder(ResponderTask):
    """The peer's half."""

    def __init__(self) -> None:
        self._answer: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Make our value; after the last one make the SA. What is malformed is fatal."""
        followup = _find(sa, _link(request.payloads))
        method = followup.methods[0]
        ke = payload_of(request.payloads, method.transform_id)
        public, secret = method.respond(sa.env.random, ke.data)
        followup.methods.popleft()
        followup.secrets += secret
        self._answer = [KeyExchange(method.transform_id, public), *_go_on(sa, followup)]

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """KEr(n), and N(ADDITIONAL_KEY_EXCHANGE) unless it was the last."""
        return self._answer


def _find(sa: IkeSaState, link: bytes) -> Followup:
    followup = sa.additional.followup
    if followup is None or not same_secret(followup.link, link):
        raise Refusal(NotifyType.STATE_NOT_FOUND, "no key exchange goes on under this link")
    if sa.now >= followup.expires:
        sa.additional.give_up_followup()
        raise Refusal(NotifyType.STATE_NOT_FOUND, "the key exchange was not gone on with in time")
    return followup


def _go_on(sa: IkeSaState, followup: Followup) -> list[AnyPayload]:
    if followup.methods:
        followup.link, followup.expires = sa.env.random(_LINK_SIZE), sa.now + FOLLOWUP_TIMEOUT
        return [Notify(_LINK, followup.link)]
    try:
        followup.finish(followup.secrets)
    except Refusal:
        sa.additional.give_up_followup()
        raise
    sa.additional.followup = None
    return []
