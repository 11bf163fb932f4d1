"""How the demo checkpoint is made: `python -m training`. Nothing here is installed with the product."""
