"""Measurements that back the figures in the README; each module runs by itself."""
