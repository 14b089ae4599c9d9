"""The team's chat: what was posted, and what members are told of their tasks

Revision 0052, after 0051.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

UNTOLD = sa.text("state IN ('waiting','claimed')")
CHANGED = sa.text("is_changed")


def upgrade() -> None:
    op.create_table(
        "chat_post",
        sa.Column("once_key", sa.String(160), nullable=False),
        sa.Column("account", sa.String(130), nullable=False),
        sa.Column("place", sa.String(32), nullable=False),
        sa.Column("stamp", sa.String(32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("once_key", name=op.f("pk_chat_post")),
    )
    op.create_index(op.f("ix_chat_post_began_at"), "chat_post", ["began_at"])
    op.create_table(
        "task_notice",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("task_id", sa.String(160), nullable=False),
        sa.Column("member_id", sa.String(32), nullable=False),
        sa.Column("what", sa.String(12), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("is_changed", sa.Boolean(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_task_notice_task_id_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_notice")),
    )
    op.create_index("ix_task_notice_untold", "task_notice", ["next_at"], sqlite_where=UNTOLD, postgresql_where=UNTOLD)
    op.create_index("ix_task_notice_changed", "task_notice", ["next_at"], sqlite_where=CHANGED, postgresql_where=CHANGED)
    op.create_index("ix_task_notice_task", "task_notice", ["task_id"])


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
