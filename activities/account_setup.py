"""What people set up of a provider account: its configuration read, completed, tested, and what to do when it is refused.

Nothing is stored here (`workspace.accounts`), and nothing is in use before it was tested.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from pydantic import SecretStr, ValidationError

from activities.providers.provider import ProviderConfig, ProviderFailure, Surroundings
from activities.providers.registry import Kind, Providers
from journeys.errors import Conflict, Invalid, Issue, PfadwerkError
from journeys.reading import issues_of
from models import ProviderAccount
from workspace import accounts as rows

log = logging.getLogger(__name__)

UNKNOWN, UNREADABLE, UNFIT = "account_unknown_provider", "account_sealed_elsewhere", "account_unfit"
"""Why an account cannot be used in this process; its messages wait, as if the provider refused them."""


class AccountTestFailed(PfadwerkError):
    """The account would take no message now, so nothing was changed."""

    code = "account_test_failed"
    status = 422


class Unreadable(Exception):
    """The secrets of an account were sealed with a key that this process does not have."""


def secret_fields(kind: Kind) -> frozenset[str]:
    """The fields of its configuration that are sealed."""
    return frozenset(name for name, one in kind.Config.model_fields.items() if one.annotation is SecretStr)


def destination_fields(kind: Kind) -> frozenset[str]:
    """The fields that decide where, and how well protected, its secrets travel: those marked `destination`; without marks, every plain one that does not
    deny it."""
    extras = {name: one.json_schema_extra for name, one in kind.Config.model_fields.items()}
    marked = frozenset(name for name, extra in extras.items() if isinstance(extra, Mapping) and extra.get("destination"))
    denied = frozenset(name for name, extra in extras.items() if isinstance(extra, Mapping) and extra.get("destination") is False)
    return marked or frozenset(extras) - secret_fields(kind) - made_fields(kind) - denied


def made_fields(kind: Kind) -> frozenset[str]:
    """The fields of its configuration that nobody types."""
    extras = {name: one.json_schema_extra for name, one in kind.Config.model_fields.items()}
    return frozenset(name for name, extra in extras.items() if isinstance(extra, Mapping) and extra.get("made"))


def config_of(kind: Kind, keys: Sequence[bytes], row: ProviderAccount) -> ProviderConfig:
    """What the account is set up with, secrets included.

    Raises: Unreadable; ValidationError.
    """
    secrets = rows.secrets_of(keys, row)
    if secrets is None:
        raise Unreadable
    return kind.Config.model_validate({**row.config, **secrets})


def read(kind: Kind, values: Mapping[str, Any]) -> tuple[ProviderConfig, rows.SetUp]:
    """The values as a configuration, and as a row keeps it.

    Raises: Invalid: names every field that is wrong, without what was typed.
    """
    try:
        config = kind.Config.model_validate(dict(values))
    except ValidationError as error:
        raise Invalid("This configuration cannot be used:\n{problems}", issues_of(error, {}), problems=issues_of(error, {})) from None
    return config, set_up_of(kind, config)


def set_up_of(kind: Kind, config: ProviderConfig) -> rows.SetUp:
    """The configuration as a row keeps it."""
    secret = secret_fields(kind)
    plain = {name: value for name, value in config.model_dump(mode="json").items() if name not in secret}
    values = {name: getattr(config, name).get_secret_value() for name in secret}
    sealed = {name: value for name, value in values.items() if value or name not in made_fields(kind)}
    return rows.SetUp(kind.name, plain, sealed)


def changed(kind: Kind, keys: Sequence[bytes], row: ProviderAccount, values: Mapping[str, Any]) -> tuple[ProviderConfig, rows.SetUp]:
    """New values over those of the account, as `read` gives them. A secret that is not among them, or empty, stays, unless it would go elsewhere.

    Raises: Conflict: a secret that should stay cannot be read any more; Invalid: or belongs to another server.
    """
    config, given = read(kind, _merged(kind, keys, row, values))
    kept = sorted(name for name, secret in given.secrets.items() if secret and not values.get(name) and name not in made_fields(kind))
    if kept and _goes_elsewhere(kind, row.config, given.config):
        issues = [Issue(code="account", text="Enter the secrets again: they are not sent to another server.", field=name) for name in kept]
        raise Invalid("{problem}", issues, problem=issues[0])
    return config, given


def _goes_elsewhere(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """What a row from before a field was there does not say is what the field is by itself."""
    fields = kind.Config.model_fields
    return any(before.get(name, fields[name].default) != after[name] for name in destination_fields(kind))


def _merged(kind: Kind, keys: Sequence[bytes], row: ProviderAccount, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the row has of fields that the provider has dropped since is left out; what was typed into one is refused as ever."""
    given = {name: value for name, value in values.items() if name not in secret_fields(kind) or value}
    kept = rows.secrets_of(keys, row)
    if kept is None:
        if secret_fields(kind) - made_fields(kind) - given.keys():
            raise Conflict("The secrets of this account were encrypted with a key that is gone: enter them again.")
        kept = {}
    stored = {name: value for name, value in {**row.config, **kept}.items() if name in kind.Config.model_fields}
    return {**stored, **given}


def try_connection(kind: Kind, config: ProviderConfig, around: Surroundings) -> str:
    """What the provider says to this configuration: a code, empty if it would take a message. Nobody is sent one."""
    try:
        with closing(kind.open(config, around)) as provider:
            provider.verify()
    except ProviderFailure as failure:
        return failure.code
    except Exception as error:  # noqa: BLE001 - somebody waits for an answer about their account; the text may hold a secret
        log.error("a provider of the kind %s failed while its connection was tried: %s", kind.name, type(error).__name__)
        return UNFIT
    return ""


def what_to_do(providers: Providers, account: str, code: str) -> str:
    """A message id: what the provider of the account says about a code that it was refused with."""
    kind = providers.get(account.partition(".")[0])
    known = next((text for pattern, text in kind.advice if re.fullmatch(pattern, code)), None) if kind else None
    return known or OUR_ADVICE.get(code, "The provider takes no messages right now. If that continues, ask it why.")


OUR_ADVICE: Mapping[str, str] = {
    "rate_complaints": "Too many people report its messages as spam. Marketing waits, other messages leave. Write only to those who want it and read it, then resume sending.",
    "rate_bounces": "Too many addresses do not exist. Marketing waits, other messages leave. Clean up the list that they came from, then resume sending.",
    UNKNOWN: "This server does not know the provider of this account: install it here, too, or remove the account.",
    UNREADABLE: "The secrets of this account were encrypted with a key that is gone: enter them again.",
    UNFIT: "The stored configuration of this account does not fit this version: check and save it again.",
}
