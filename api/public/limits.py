"""How often a network and a form or key may ask in an hour."""

from __future__ import annotations

from api.http.rate_limits import Rate
from api.server import Server
from crm.consent.consent import shorten_ip
from journeys.errors import TooMany
from workspace import settings

HOUR = 3_600
SPAM = Rate("form-spam", per_second=1, burst=60)
"""What is counted of the spam of one network: each time costs a transaction."""


def check_rates(server: Server, door: str, network: str) -> None:
    """Raises:
    TooMany: too many requests from this network, or through this form or key."""
    with server.engine.db.read() as session:
        most = settings.load(session, settings.DoubleOptIn)
    server.take(Rate("signup-network", per_second=most.asks_a_network / HOUR, burst=most.asks_a_network), shorten_ip(network) or network)
    server.take(Rate("signup-door", per_second=most.asks_a_form / HOUR, burst=most.asks_a_form), door)


def is_counted(server: Server, network: str) -> bool:
    """Whether what only programs fill in is counted once more for this network."""
    try:
        server.take(SPAM, shorten_ip(network) or network)
    except TooMany:
        return False
    return True
