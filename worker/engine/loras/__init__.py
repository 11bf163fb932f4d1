"""LoRAs: found on this disk, read and looked at, and added to the weights of a loaded pipeline.

Adding is done here and not by a library: diffusers and peft lose alpha in some layouts, take one for all layers in
others, and do not restore the weights to the bit.
"""
