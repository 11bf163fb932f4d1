"""What keeps a night alive: signs of life, limits, watches over hanging, waiting for what is mended."""
