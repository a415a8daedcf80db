"""A training job from the owner's photos to a bundle that may serve."""
