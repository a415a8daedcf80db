"""How a bundle's network is trained: the presets `seed`, `finetune` and `compact`."""
