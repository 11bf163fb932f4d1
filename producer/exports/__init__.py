"""Taking pictures away as a data set: captions, splits, layouts, and a folder that is there whole or not at all."""
