"""Where pictures are kept, and what they say of themselves."""
