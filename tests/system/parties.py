"""Who writes to whom: the clients and recipients of a scripted mail."""

from dataclasses import dataclass

from truth import Refusal


@dataclass(frozen=True)
class Client:
    """Where a session comes from, and what the metrics call that."""

    name: str
    source: str
    address: str  # bound to this one
    label: str  # before MAIL
    user: str = ""  # logs in
    mechanism: str = "PLAIN"
    counted_as: str = "plain"  # what the metrics call the mechanism
    tls: str = "none"
    behind: str = ""  # a proxy in front says, with XCLIENT, that this is the client's address
    named: str = ""  # and this its name
    resolve: str = "unknown"  # what the metrics say of that name
    helo: str = "client.test"
    refusal: Refusal | None = None  # of every recipient
    relays: bool = False  # may write to recipients elsewhere, whoever it is

    @property
    def may_relay(self):
        return self.relays or self.user != ""


class Recipient:
    """away: not one of this server; whoever has logged in may write there. `refusal`: of truth.Refusal."""

    def __init__(self, address, *refusal, away=False):
        self.address, self.away = address, away
        self.refusal = Refusal(*refusal) if refusal else None

    def refused_to(self, client):
        """Why this client may not write to it, or None."""
        return None if self.away and client.may_relay else self.refusal
