"""Looking over what would go live, and publishing it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from engine.versions import publish
from journeys.errors import Conflict, PfadwerkError
from storage import tally

from builder_ui.app.screen import allowed
from builder_ui.builder.board import Review
from builder_ui.builder.saving import Saving
from builder_ui.kit import differences
from builder_ui.kit.ahead import looked


class Publishing(Saving):
    """An open builder whose saved draft is made live."""

    async def look_over(self) -> None:
        """Saves, then says what publishing would do."""
        await self.save()
        self.tell("head")
        if self.status != "saved":
            return
        self.review = review = await asyncio.to_thread(self._review)
        self.tell("head")
        if not review.errors:
            found = await looked(self.context, self.journey.id, self.draft.document())
            if self.review is review:
                self.review = replace(review, ahead=found)
                self.tell("head")

    def _review(self) -> Review:
        context = self.context
        with context.engine.db.read() as session:
            journey = publish.get_journey(session, self.journey.id)
            issues = publish.check_draft(context.engine, session, journey.draft)
            changes = []
            if journey.live_version:
                live = publish.get_version(session, journey.id, journey.live_version)
                changes = [
                    one.text
                    for one in differences.changes(
                        self.t, context.engine.palette, live.document, journey.draft
                    )
                ]
            inside = tally.read(session, journey.id).inside
        errors = [issue for issue in issues if issue.severity == "error"]
        return Review(
            journey.live_version is None,
            changes,
            errors,
            [one for one in issues if one.severity != "error"],
            inside,
        )

    def cancel_review(self) -> None:
        self.review = None
        self.tell("head")

    async def publish(self, note: str) -> None:
        """Makes the saved draft live, if it is still what was looked over."""
        try:
            number = await asyncio.to_thread(self._publish, note[:2_000])
        except Conflict as error:
            await self.catch_up()
            self.notify(
                (
                    self.t(
                        "Someone saved this journey in the meantime: review again what goes live."
                    ),
                    False,
                )
                if "by" in error.details
                else (error.say(self.t.translate), False)
            )
        except PfadwerkError as error:
            self.notify((error.say(self.t.translate), False))
        else:
            self.state, self.live_version = "paused" if self.state == "paused" else "live", number
            self.versions = (number, *(one for one in self.versions if one != number))
            self.differs, self.since = False, self.since or self.context.app.now()
            self.live_goal = bool(self.draft.parts.get("goal"))
            self.notify((self.t("Version {number} is live.", number=number), True))
        self.review = None
        self.tell("head")

    def _publish(self, note: str) -> int:
        context = self.context
        allowed(context, "journey.change")
        with context.engine.db.write() as session:
            journey = publish.get_journey(session, self.journey.id, locked=True)
            if journey.revision != self.revision:
                raise Conflict(
                    "Someone else saved this journey in the meantime.", by=journey.updated_by
                )
            return publish.publish(
                context.engine, session, journey.id, context.by, note, context.app.now()
            ).number
