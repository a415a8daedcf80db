"""The receipt of an erasure: what was removed, signed by the service that removed it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from app.domain.signing import ServiceKey

_PURPOSE: Final = "erasure-receipt"

KEPT: Final = (
    (
        "The audit log keeps when, how and by whom this person was enrolled, verified and erased, "
        "under a pseudonym, until its retention ends."
    ),
    "Backups and copies outside this service are not reached by it.",
    "Photos for training that lie in no folder of this person's name are not known to be theirs.",
    (
        "A disk may keep freed blocks until it uses them again; with encryption at rest they "
        "can't be read."
    ),
)
"""What an erasure does not reach, for the person who asked."""

TRAINED: Final = (
    "The models of this receipt were trained on photos of this person, or made for this person: "
    "their weights keep what they have learned and can't unlearn it. A model goes with all that it "
    "keeps when it is deleted: activate another one, then facetwin model prune VERSION."
)
"""What an erasure does not reach if models were trained on the person."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Counts of what was removed.

    Attributes:
        references: Verification images with their rows.
        embeddings: Embeddings of those, under every fingerprint.
        files: Photos and whatever else lay in the person's folder.
        training_files: Photos for training in folders of the person's name, and files of training
            jobs that had photos of the person.
    """

    references: int
    embeddings: int
    files: int
    training_files: int = 0


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """What a person, or a data-protection officer, can hold against the service.

    Attributes:
        receipt_id: 32 hexadecimal digits.
        subject: The name as it was stored; the service itself no longer knows it.
        pseudonym: What the audit log calls this person.
        erased_at: ISO 8601 UTC.
        log_emptied: Whether the database's write-ahead log was emptied at once; if not, the
            service does it as soon as no one reads an older state.
        audit_seq: Number of the audit entry about this erasure.
        audit_hash: Its hash.
        kept: What is not removed, in words.
        key_id: Names the key of `signature`.
        models: Versions that were trained on photos of the person, or made for the person, and
            were there when the person was erased.
    """

    receipt_id: str
    subject: str
    pseudonym: str
    erased_at: str
    removed: Removed
    log_emptied: bool
    audit_seq: int
    audit_hash: str
    kept: tuple[str, ...]
    key_id: str
    models: tuple[str, ...] = ()
    signature: str = ""

    def signed(self, key: ServiceKey) -> str:
        """The signature that this receipt must have under `key`."""
        return key.sign(_PURPOSE, _unsigned(asdict(self)))


def receipt_is_genuine(document: Mapping[str, Any], key: ServiceKey) -> bool:
    """Whether a receipt, as JSON gives it back, is one that this service signed, unchanged."""
    signature = document.get("signature")
    if not isinstance(signature, str):
        return False
    try:
        return key.verify(_PURPOSE, _unsigned(document), signature)
    except ValueError:  # numbers or characters that no receipt has
        return False


def _unsigned(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "signature"}
