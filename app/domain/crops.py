"""Where cached crops of a training photo lie: training writes them, an erasure finds them."""


def crop_folder(sha256: str) -> str:
    """The folder, in that of all crops, that holds those of a photo and of some others."""
    return sha256[:2]


def is_crop_of(sha256: str, name: str) -> bool:
    """Whether a file of this name, in `crop_folder`, was made from the photo."""
    return name.lstrip(".").startswith(f"{sha256}-")
