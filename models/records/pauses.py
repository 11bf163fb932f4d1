"""Pausing the queue: while a pause lasts, no worker begins a job."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.records.tables import Pause, now


def pause(session: Session) -> bool:
    """Pause the queue; False if it is paused already."""
    if paused_since(session) is not None:
        return False
    session.add(Pause(paused_at=now()))
    return True


def resume(session: Session) -> bool:
    """Let the queue go on; False if it is not paused."""
    if paused_since(session) is None:
        return False
    session.execute(update(Pause).where(Pause.resumed_at.is_(None)).values(resumed_at=now()))
    return True


def paused_since(session: Session) -> datetime | None:
    """Return since when the queue is paused, None if it is not."""
    return session.scalar(select(Pause.paused_at).where(Pause.resumed_at.is_(None)).order_by(Pause.id).limit(1))
