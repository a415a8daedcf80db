"""Subjects, images, embeddings, skipped files and pending removals."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subjects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("name_key", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subjects"),
        sa.UniqueConstraint("name_key", name="uq_subjects_name_key"),
    )
    op.create_table(
        "images",
        sa.Column("image_id", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(512), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("source_sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("face_policy", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("image_id", name="pk_images"),
        sa.UniqueConstraint("path", name="uq_images_path"),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subjects.id"], name="fk_images_subject_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_images_subject_id", "images", ["subject_id"])
    op.create_table(
        "embeddings",
        sa.Column("image_id", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("face", sa.JSON(), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "fingerprint", name="pk_embeddings"),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.image_id"], name="fk_embeddings_image_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "skipped_files",
        sa.Column("path", sa.String(512), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("path", "fingerprint", name="pk_skipped_files"),
    )
    op.create_table(
        "pending_removals",
        sa.Column("path", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_pending_removals"),
    )
    state = op.create_table(
        "gallery_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gallery_state"),
    )
    op.bulk_insert(state, [{"id": 1, "revision": 0}])


def downgrade() -> None:
    for table in (
        "gallery_state",
        "pending_removals",
        "skipped_files",
        "embeddings",
        "images",
        "subjects",
    ):
        op.drop_table(table)
