"""From image bytes to an embedding: decode, detect, align, measure quality, embed."""
