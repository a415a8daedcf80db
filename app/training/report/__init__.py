"""What a training job tells people: the report as a page and as JSON, and the model card."""
