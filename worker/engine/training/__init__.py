"""Making a LoRA: pictures become latents once, and steps of an optimiser change what is added to the weights."""
