"""The kinds of step that come with Pfadwerk. A new kind is one file in this folder and its name in this list."""

from __future__ import annotations

from journeys.channels import CHANNELS
from journeys.nodes.assign_owner import AssignOwner
from journeys.nodes.call_webhook import CallWebhook
from journeys.nodes.change_score import ChangeScore
from journeys.nodes.create_task import CreateTask
from journeys.nodes.end_journey import EndJourney
from journeys.nodes.exit import Exit
from journeys.nodes.if_else import IfElse
from journeys.nodes.node import Node
from journeys.nodes.notify_team import NotifyTeam
from journeys.nodes.send import step_of
from journeys.nodes.send_email import SendEmail
from journeys.nodes.send_in_app import SendInApp
from journeys.nodes.send_push import SendPush
from journeys.nodes.send_sms import SendSms
from journeys.nodes.send_whatsapp import SendWhatsApp
from journeys.nodes.split import Split
from journeys.nodes.start_journey import StartJourney
from journeys.nodes.switch import Switch
from journeys.nodes.update_contact import UpdateContact
from journeys.nodes.wait import Wait
from journeys.nodes.wait_for import WaitFor
from journeys.nodes.wait_for_task import WaitForTask
from journeys.nodes.wait_until import WaitUntil

BUILT_IN: tuple[type[Node], ...] = (
    Wait,
    WaitUntil,
    WaitFor,
    WaitForTask,
    IfElse,
    Switch,
    Split,
    StartJourney,
    EndJourney,
    Exit,
    SendEmail,
    SendSms,
    SendWhatsApp,
    SendPush,
    SendInApp,
    *(step_of(channel) for channel in CHANNELS.values() if channel.step),
    NotifyTeam,
    UpdateContact,
    ChangeScore,
    CreateTask,
    AssignOwner,
    CallWebhook,
)
"""In the order in which the builder shows them."""
