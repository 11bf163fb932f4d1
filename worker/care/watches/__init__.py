"""Noticing what does not get on: a job that hangs, a process that is held, a worker that takes nothing."""
