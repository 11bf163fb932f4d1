"""A LoRA for the demo checkpoint, as `make demo-lora` makes it: from drawings over a training to its pictures."""
