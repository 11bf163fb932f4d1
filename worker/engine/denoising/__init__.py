"""The pass through a UNet: what makes it the same in any company, and the forms in which it may be faster."""
