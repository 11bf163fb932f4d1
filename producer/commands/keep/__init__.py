"""Commands over what is kept of pictures."""
