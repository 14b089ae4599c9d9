"""What a failure may tell Temporal: its type and a code of ours. No stack trace, no text from outside, no values of statements."""

from __future__ import annotations

import dataclasses

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter, DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import FailureError


class BareFailures(DefaultFailureConverter):
    """Histories are kept for weeks and read by operators: a database error's text would carry what a contact typed."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        super().to_failure(exception, payload_converter, failure)
        failure.stack_trace = ""
        if not isinstance(exception, FailureError):
            failure.message = type(exception).__name__
        if not isinstance(exception.__cause__, FailureError):
            failure.ClearField("cause")


BARE = dataclasses.replace(DataConverter.default, failure_converter_class=BareFailures)
"""The data converter of every client."""
