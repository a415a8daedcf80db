"""How many photos and people it takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Enough:
    """Limits; below the first of a kind the result would mean nothing, below the second little.

    Photos that are copies, or frames of one burst, count once.

    Attributes:
        owner_photos: Of the owner, in `anchor` and `positive` together. A quarter is held back for
            the test: of 10 that are two or three, each of which moves the FNMR by a third or more.
        role_photos: In each of `anchor` and `positive`, so that there are pairs on every side.
        people: Among the negatives: a quarter is held back, and an FMR needs false matches of at
            least 10 pairs of people to be stated at all, which five people (with ten pairs) could
            just give.
        good_owner_photos: With 50, a test photo is 8 % of the FNMR and calibration has a bucket of
            11 and more references.
        good_people: With 400, a hundred are in the test: an FMR of 1 % takes 30 false matches among
            3,000 impostor trials.
        copied_share: Of `positive`, the share of photos that may be copies of `anchor`.
        outlier_share: Of the owner's photos, the share that may look like someone else's. Of 52
            people's own photos a sixth did at most.
        rejected_share: Of a folder, the share of files that may be unusable without a warning.
        burst_share: Of a folder, the share of photos that may belong to one burst without one.
    """

    owner_photos: int = 10
    role_photos: int = 3
    people: int = 20
    good_owner_photos: int = 50
    good_people: int = 400
    copied_share: float = 0.5
    outlier_share: float = 0.25
    rejected_share: float = 0.2
    burst_share: float = 0.5
