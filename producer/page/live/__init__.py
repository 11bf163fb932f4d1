"""Pages that are made when a browser asks for them."""
