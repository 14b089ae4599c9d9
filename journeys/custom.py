"""Custom activities: a Python function of yours becomes a step in the palette.

    @activity(name="loyalty_points", title="Add loyalty points", outlets=("added", "not_a_member"))
    def add_points(ctx: ActivityContext, input: AddPoints) -> Result:
        \"\"\"Books points in the loyalty system.\"\"\"

The docstring is the help text, the fields of the pydantic input are the form. The step is of the kind `custom.<name>`; the
function runs as a Temporal activity and is faked in staging. How functions are found: `activities.custom.discovery`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, get_type_hints

from pydantic import BaseModel, Field, create_model

from journeys.calls import custom_channel
from journeys.custom_input import NoFit, fitted, form_of, needy
from journeys.errors import Issue
from journeys.nodes.node import Node, unread_places
from journeys.placeholders import fields, fill_json
from journeys.results import Results, results_of
from journeys.secret import NoSecret, Reveal, Secret
from journeys.values import Answer, Call, Context, Do, Leave, Outcome, Performed

__all__ = ["ActivityContext", "CustomActivity", "CustomStep", "GiveUp", "NoSecret", "Result", "Retry", "Secret", "activity"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OUTLET = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class ActivityContext:
    """For whom and where the function is called.

    `idempotency_key` is the same on every retry of this visit: hand it to the other system. `contact` holds
    the contact's fields, `trigger` the properties of the event that started the run. `attempt` counts from 1.
    """

    run_id: str
    contact_id: str
    journey: str
    node_id: str
    idempotency_key: str
    attempt: int = 1
    contact: Mapping[str, Any] = field(default_factory=dict)
    trigger: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The way out, and what later steps and templates may read (small JSON)."""

    outlet: str
    data: Mapping[str, Any] = field(default_factory=dict)


class GiveUp(Exception):
    """Raise it from an activity when trying again is useless; the run stops at this step and is listed as stuck.

    `code` is a word for programs and reports, without personal data. Every other exception is retried.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Retry:
    """When an attempt that failed is made again.

    The first pause is `initial_interval`, each one after it `backoff` times as long, none longer than `maximum_interval`. After `attempts`,
    the first one counted, the run is stuck; at once after an exception of `non_retryable`, or of a class below one of them.
    """

    initial_interval: timedelta = timedelta(seconds=2)
    backoff: float = 2.0
    maximum_interval: timedelta = timedelta(minutes=5)
    attempts: int = 11
    non_retryable: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        """Raises: ValueError, with what was expected."""
        if not timedelta(seconds=1) <= self.initial_interval <= self.maximum_interval <= timedelta(days=1):
            raise ValueError("expected a second <= initial_interval <= maximum_interval <= a day")
        if not 1 <= self.backoff <= 100:
            raise ValueError(f"expected backoff to be from 1 to 100, got: {self.backoff}")
        if not 1 <= self.attempts <= 101:
            raise ValueError(f"expected attempts to be from 1 to 101, got: {self.attempts}")
        classes = isinstance(self.non_retryable, tuple) and all(isinstance(one, type) for one in self.non_retryable)
        if not classes or not all(issubclass(one, BaseException) for one in self.non_retryable):
            raise ValueError("expected non_retryable to be a tuple of exception classes")

    def pause(self, attempt: int) -> timedelta:
        """Between attempt number `attempt`, from 1, and the next: 2, 4, 8 seconds and so on by default."""
        wanted = self.initial_interval.total_seconds() * self.backoff ** (attempt - 1)
        return timedelta(seconds=min(wanted, self.maximum_interval.total_seconds()))

    def is_over(self, attempt: int, error: BaseException) -> bool:
        """Whether the run is stuck after this attempt ended with `error`."""
        return attempt >= self.attempts or isinstance(error, self.non_retryable)


Answered = Result | str | None
"""What a function may return: a result, only the outlet's name, or None for the first outlet."""

Answering = Coroutine[Any, Any, Answered]
Function = Callable[[ActivityContext, Any], Answered | Answering]
"""Plain or async."""


@dataclass(frozen=True, slots=True)
class CustomActivity:
    """A decorated function with everything that runs it and draws it."""

    name: str
    title: str
    version: int
    outlets: tuple[str, ...]
    timeout: timedelta
    retry: Retry
    function: Function
    input_model: type[BaseModel]
    node: type[Node]
    fake: Callable[[Any], Answered] | None = None
    remembers: timedelta = timedelta(0)

    @property
    def channel(self) -> str:
        """Every version has one of its own, so that a run that is pinned to an older one is never served by another."""
        return custom_channel(self.name, self.version)

    @property
    def retries(self) -> int:
        return self.retry.attempts - 1

    @property
    def file(self) -> str:
        """The file that the function is written in, also below decorators that keep it."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return code.co_filename if code is not None else ""

    def __call__(self, ctx: ActivityContext, input: Any) -> Answered | Answering:
        """The function itself, so that a test can call it as it was written."""
        return self.function(ctx, input)

    def perform(
        self,
        ctx: ActivityContext,
        raw: Mapping[str, Any],
        reveal: Reveal | None = None,
        finish: Callable[[Answering], Answered] | None = None,
    ) -> Result:
        """Calls the function with the checked input; `reveal` fetches the value of a secret by its name, `finish` runs what an async function
        has begun (such as `asyncio.run`).

        Raises:
            GiveUp: the input is not valid (`bad_input:<field>`), the answer names no outlet (`bad_answer`), or the function gave up.
        """
        answered = self.function(ctx, self._input(raw, reveal))
        if not isinstance(answered, Coroutine):
            return self._result(answered)
        if finish is None:
            answered.close()
            raise TypeError("expected finish to be given for an async function, such as asyncio.run")
        return self._result(finish(answered))

    def pretend(self, raw: Mapping[str, Any]) -> Result:
        """The answer in staging: `fake` if the author wrote one, else the first outlet."""
        checked = self._input(raw)
        try:
            return self._result(self.fake(checked) if self.fake is not None else None)
        except NoSecret as error:
            raise GiveUp(f"no_secret:{error.name}") from None

    def _input(self, raw: Mapping[str, Any], reveal: Reveal | None = None) -> BaseModel:
        try:
            return fitted(self.input_model, raw, reveal)
        except NoSecret as error:
            raise GiveUp(f"no_secret:{error.name}") from None
        except NoFit as error:
            raise GiveUp(":".join(("bad_input", *error.fields[:1]))) from None

    def _result(self, answered: Answered) -> Result:
        if answered is None:
            return Result(self.outlets[0])
        result = Result(answered) if isinstance(answered, str) else answered
        if not isinstance(result, Result) or result.outlet not in self.outlets:
            raise GiveUp("bad_answer")
        return result


def activity(
    *,
    name: str,
    title: str,
    version: int = 1,
    outlets: tuple[str, ...] = ("next",),
    timeout: timedelta = timedelta(seconds=30),
    retries: int | None = None,
    retry: Retry | None = None,
    icon: str = "plug",
    fake: Callable[[Any], Answered] | None = None,
    results: type[BaseModel] | None = None,
    remembers: timedelta = timedelta(0),
) -> Callable[[Function], CustomActivity]:
    """Makes a custom activity of a function `(ctx, input)`.

    `name`: lower-case letters, digits and _; part of saved journeys, never change it. `version`: raise it when the function
    starts to behave differently; keep the old one registered as long as runs use it. `outlets`: the ways out, at least
    one. `timeout`: of one attempt. `retry`: how often and after which pauses it is tried again before the run is stuck; `retries` alone says
    the number of attempts after the first.
    `fake`: (input) -> answer, used in staging. `results`: the fields that `data` may hold, so that the check knows their names and types.
    `remembers`: how long the other system knows an `idempotency_key`, so that the same call again does nothing more (24 hours with many payment
    services). After a backup was restored, calls that may have been made already are made again within that time, and asked about else.

    Raises:
        TypeError, ValueError: when it is applied, with what was expected.
    """
    _check_options(name, version, outlets, timeout)
    policy = _policy(retries, retry)

    def decorate(function: Function) -> CustomActivity:
        model = _input_model(function)
        help_text = inspect.getdoc(function) or title
        node = _node_class(name, title, help_text, version, outlets, icon, model)
        node.declared = None if results is None else results_of(results.model_json_schema())
        return CustomActivity(name, title, version, outlets, timeout, policy, function, model, node, fake, remembers)

    return decorate


class CustomStep(Node):
    """What all custom activities have in common; not itself in the palette."""

    group = "code"
    ways_out: ClassVar[tuple[str, ...]]
    form_model: ClassVar[type[BaseModel]]
    declared: ClassVar[Results | None] = None

    def outlets(self) -> tuple[str, ...]:
        return self.ways_out

    def enter(self, ctx: Context) -> Answer:
        return Do(call=Call(channel=str(self.effect_channel), input={"input": fill_json(self._given(), ctx.facts)}))

    def resume(self, ctx: Context, outcome: Outcome) -> Answer:
        if not isinstance(outcome, Performed):
            raise TypeError(f"expected a custom activity to be Performed, got: {type(outcome).__name__}")
        return Leave(outlet=outcome.outlet, remember=outcome.data)

    def results(self) -> Results | None:
        return None if self.declared is None else {**self.declared, "message_id": "string", "status": "string"}

    def references(self) -> Iterable[tuple[str, str, str]]:
        for name in fields(self._given()):
            yield "input", "field", name

    def problems(self, node_id: str) -> Iterable[Issue]:
        for name in needy(self.form_model, self._given()):
            text = "Contacts without a value for this get stuck here: add a default, such as {{{{ contact.points|default(0) }}}}."
            yield Issue(code="needs_default", text=text, node_id=node_id, field=f"input.{name}", severity="warning")
        yield from unread_places(node_id, {"input": self._given()})

    def _given(self) -> Any:
        return self.model_dump(mode="json", include={"input"}, by_alias=True, warnings=False)["input"]


def _node_class(
    name: str, title: str, help_text: str, version: int, outlets: tuple[str, ...], icon: str, model: type[BaseModel]
) -> type[CustomStep]:
    needed = any(info.is_required() for info in model.model_fields.values())
    given: Any = Field(title=title) if needed else Field(default_factory=model, title=title)
    node: type[CustomStep] = create_model(
        "Custom" + "".join(part.title() for part in name.split("_")), __base__=CustomStep, input=(form_of(model), given)
    )
    node.__doc__ = help_text
    node.kind = f"custom.{name}"
    node.label = title
    node.icon = icon
    node.behaviour = version
    node.effect_channel = custom_channel(name, version)
    node.ways_out = outlets
    node.form_model = model
    return node


def _input_model(function: Callable[..., Any]) -> type[BaseModel]:
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters)
    model = hints.get(parameters[1]) if len(parameters) == 2 else None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"expected {function.__qualname__} to be written as (ctx, input: SomePydanticModel)")
    return model


def _policy(retries: int | None, retry: Retry | None) -> Retry:
    if retries is None:
        return retry or Retry()
    if retry is not None:
        raise ValueError("expected retries or retry, got both")
    if not 0 <= retries <= 100:
        raise ValueError(f"expected retries to be from 0 to 100, got: {retries}")
    return Retry(attempts=retries + 1)


def _check_options(name: str, version: int, outlets: tuple[str, ...], timeout: timedelta) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected name to be 1 to 40 lower-case letters, digits and _, got: {name!r}")
    if not 1 <= version <= 9_999:
        raise ValueError(f"expected version to be from 1 to 9999, got: {version}")
    if not isinstance(outlets, tuple) or not outlets or len(outlets) != len({*outlets}):
        raise ValueError(f"expected outlets to be a tuple of different names, at least one, got: {outlets!r}")
    for outlet in outlets:
        if not _OUTLET.fullmatch(outlet):
            raise ValueError(f"expected an outlet of 1 to 40 lower-case letters, digits, - and _, got: {outlet!r}")
    if not timedelta(seconds=1) <= timeout <= timedelta(hours=1):
        raise ValueError(f"expected timeout to be from one second to one hour, got: {timeout}")
