"""API keys, the audit log, encryption keys, photos held as missing, and the gallery's own id."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Entries are never changed, and only leave from the old end, once the anchor stands after them.
_TRIGGERS = (
    """CREATE TRIGGER audit_log_is_never_changed BEFORE UPDATE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_log_is_only_pruned BEFORE DELETE ON audit_log
    WHEN OLD.seq > (SELECT pruned_seq FROM audit_anchor WHERE id = 1)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("last_used_at", sa.String(32), nullable=True),
        sa.Column("revoked_at", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
    )
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(64), nullable=True),
        sa.Column("outcome", sa.String(32), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_subject", "audit_log", ["subject"])
    anchor = op.create_table(
        "audit_anchor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pruned_seq", sa.Integer(), nullable=False),
        sa.Column("pruned_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_anchor"),
    )
    op.bulk_insert(anchor, [{"id": 1, "pruned_seq": 0, "pruned_hash": "0" * 64}])
    op.create_table(
        "encryption_keys",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("check_value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_encryption_keys"),
    )
    op.create_table(
        "held_photos",
        sa.Column("path", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_held_photos"),
    )
    op.add_column("embeddings", sa.Column("key_id", sa.String(16), nullable=True))
    op.add_column("gallery_state", sa.Column("gallery_id", sa.String(32), nullable=True))
    state = sa.table("gallery_state", sa.column("gallery_id", sa.String))
    op.execute(state.update().values(gallery_id=uuid4().hex))
    for trigger in _TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_log_is_never_changed")
    op.execute("DROP TRIGGER audit_log_is_only_pruned")
    op.drop_column("gallery_state", "gallery_id")
    op.drop_column("embeddings", "key_id")
    for table in ("held_photos", "encryption_keys", "audit_anchor", "audit_log", "api_keys"):
        op.drop_table(table)
