"""What reports say: figures of a batch, of machines, of variants; plain values in and out."""
