"""Templates choose whom their messages are from

Revision 0047, after 0046. Those from before leave it to their steps and the workspace.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("sender", "reply_to"):
        op.add_column("template", sa.Column(name, sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
