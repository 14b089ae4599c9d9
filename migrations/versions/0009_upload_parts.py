"""Uploaded files in parts, so that none is ever in memory as a whole

Revision 0009, after 0008. What was uploaded before becomes one part.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "upload_part",
        sa.Column("upload_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_part")),
    )
    with op.batch_alter_table("upload") as batch:
        for name in ("bytes", "part_bytes", "parts"):
            batch.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("import_id", sa.String(32), nullable=True))
    op.execute("UPDATE upload SET bytes = length(content), part_bytes = length(content), parts = 1")
    op.execute("INSERT INTO upload_part (upload_id, number, content) SELECT id, 0, content FROM upload")
    _name_their_imports()
    with op.batch_alter_table("upload") as batch:
        batch.drop_column("content")
        for name in ("bytes", "part_bytes", "parts"):
            batch.alter_column(name, server_default=None)


def _name_their_imports() -> None:
    uploads = sa.table("upload", sa.column("id"), sa.column("import_id"))
    imports = sa.table("import_job", sa.column("id"), sa.column("mapping", Json))
    connection = op.get_bind()
    for id, mapping in connection.execute(sa.select(imports.c.id, imports.c.mapping)).all():
        if upload := (mapping or {}).get("upload"):
            connection.execute(sa.update(uploads).where(uploads.c.id == upload).values(import_id=id))


def downgrade() -> None:
    raise NotImplementedError("there is no way back but a backup")
