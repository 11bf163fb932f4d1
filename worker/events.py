"""What the log tells of: the name that a line carries for machines, which stays, and what happened."""

from enum import StrEnum
from typing import Self


class Event(StrEnum):
    """The name of what happened; `sentence` says it to people."""

    sentence: str

    def __new__(cls, name: str, sentence: str = "") -> Self:
        """Make the member of that name."""
        member = str.__new__(cls, name)
        member._value_, member.sentence = name, sentence
        return member

    ATTEMPT_SUCCEEDED = "attempt.succeeded", "A picture was made and recorded."
    ATTEMPT_ENDED = (
        "attempt.ended",
        "An attempt ended without a picture; its job was settled or is tried again.",
    )
    ATTEMPT_GIVEN_BACK = "attempt.given_back", "An attempt was lost, and its job went back to the queue."
    ATTEMPT_DISOWNED = "attempt.disowned", "An attempt ended when its job was no longer its own; nothing was recorded."
    ATTEMPT_HUNG = "attempt.hung", "The device took no step for too long; the worker ends."
    ATTEMPT_MADE_AGAIN = "attempt.made_again", "A picture is tried once more in the same attempt."
    ATTEMPT_UNEXPECTED = "attempt.unexpected", "An error that nobody foresaw, with its traceback."
    AWAKE_LOST = "awake.lost", "The program that keeps the machine awake went away."
    BEAT_FAILED = "beat.failed", "Something that is done at intervals failed once."
    CALL_MADE_SMALLER = "call.made_smaller", "Pictures that could not be made in one call are made in smaller ones."
    DATABASE_REPLACED = "database.replaced", "The database's file is another one now; the worker begins anew."
    DEVICE_FAULTY = "device.faulty", "The device did not do what it was told; the worker ends."
    DUTY_FAILED = "duty.failed", "A duty of the worker, such as looking after the queue, failed once."
    PICTURES_SPOILT = "pictures.spoilt", "Encoded pictures of a training were changed on the disk; encoded once more."
    FIGURES_NOT_WRITTEN = "figures.not_written", "Figures of a training could not be written for TensorBoard."
    FINISHING_FAILED = "finishing.failed", "What follows the end of an attempt failed; the attempt is recorded."
    GUARD_LIMIT_RAISED = "guard.limit_raised", "The work needs more memory than the limit; the limit was raised."
    GUARD_NOT_RECORDED = "guard.not_recorded", "What the memory guard did could not be recorded."
    GUARD_RELOAD_FAILED = "guard.reload_failed", "The memory guard could not load the checkpoint anew."
    GUARD_RESTART = "guard.restart", "Too much memory is held; the worker ends, to be started anew."
    GUARD_STEP = "guard.step", "The memory guard did something against too much memory."
    HEARTBEAT_FAILED = "heartbeat.failed", "A running job's sign of life could not be written."
    JOB_QUARANTINED = "job.quarantined", "A job was set aside: its worker went away too often."
    JOB_REFUSED = "job.refused", "A job failed whose row holds what no job may have."
    JOB_RESCUED = "job.rescued", "A job was put back whose worker gave no sign of life."
    JOBS_PUBLISHED = "jobs.published", "Jobs were put on the queue that were not there."
    JOBS_RESCUED = "jobs.rescued", "Jobs were put back that an earlier worker left running."
    LOAD_BEGUN = "load.begun", "A checkpoint is being loaded."
    LOAD_DONE = "load.done", "A checkpoint is loaded."
    LORAS_USED = "loras.used", "Other LoRAs are in use now, or none."
    MESSAGE_DROPPED = "message.dropped", "A message was dropped: it is no job, or one that is not to be had."
    MESSAGE_ELSEWHERE = "message.elsewhere", "A message was put back for a worker of another data folder."
    MESSAGE_NEWER = "message.newer", "A message of a newer version was put back for a newer worker."
    PICTURE_NOT_KEPT = (
        "picture.not_kept",
        "A picture that could not be recorded cannot be kept either.",
    )
    PICTURES_RECORDED = "pictures.recorded", "Pictures were recorded that an earlier worker had made."
    PUBLISH_FAILED = "publish.failed", "Redis is away; jobs that wait to be published stay in the database."
    QUEUE_PAUSED = "queue.paused", "The worker waits since a person has paused the queue."
    QUEUE_RESUMED = "queue.resumed", "The queue goes on."
    QUEUES_BY_SETTINGS = "queues.by_settings", "Celery's -Q is not followed: the settings name the queues."
    SAFETY_CHECKER_OFF = "safety_checker.off", "Pictures are not looked at by the safety checker."
    SEGMENT_DONE = "segment.done", "Steps of a training were taken and recorded."
    SEGMENT_ENDED = "segment.ended", "A segment ended without a step; its training was settled or is tried again."
    SETTING_FROM_ENV_FILE = "setting.from_env_file", "Settings of weight come from a .env file in the current folder."
    SETTING_UNKNOWN = "setting.unknown", "There is a variable of no setting's name."
    TRACES_LOST = "traces.lost", "The collector does not take traces; it is left alone for a minute."
    TUNING_DROPPED = "tuning.dropped", "A way to make pictures failed, or made others; it is not tried again."
    TUNING_FOUND = (
        "tuning.found",
        "How pictures are made in the least time was found out.",
    )
    TUNING_UNUSABLE = "tuning.unusable", "The file of what is fastest cannot be read or written; it is found out anew."
    THREADS_REDUCED = "threads.reduced", "torch takes fewer threads, since other programs are at work."
    TRAINING_REFUSED = "training.refused", "A training failed whose row holds what no training may have."
    TRAININGS_RESCUED = "trainings.rescued", "Trainings were put back whose worker is gone."
    WAIT_BEGUN = "wait.begun", "The worker waits for something outside of it, and tries again."
    WAIT_OVER = "wait.over", "What was waited for works again."
    WARM_UP_DONE = "warm_up.done", "The warm-up's picture was made and thrown away."
    WATCHDOG_LOST = "watchdog.lost", "The process that watches this one went away; another takes its place."
    WORKER_BEGINS_ANEW = "worker.begins_anew", "The worker begins anew in the same process."
    WORKER_CANNOT_RECORD = "worker.cannot_record", "What became of a job could not be recorded; the worker ends."
    WORKER_CANNOT_START = "worker.cannot_start", "The worker cannot start, and says why."
    WORKER_CONNECTS_ANEW = (
        "worker.connects_anew",
        "The worker was idle while messages wait; it connects anew.",
    )
    WORKER_END_NOT_RECORDED = "worker.end_not_recorded", "The worker's end could not be recorded."
    WORKER_ENDED_EARLY = "worker.ended_early", "The worker was told to end before it was ready."
    WORKER_FAULTY = "worker.faulty", "Several attempts in a row failed; the worker ends, to be started anew."
    WORKER_HUNG = "worker.hung", "The worker hung while it loaded; it ends."
    WORKER_IDLE = (
        "worker.idle",
        "The worker was idle again while messages wait; it ends, to be started anew.",
    )
    WORKER_READY = "worker.ready", "The worker takes jobs."
    WORKER_TOLD = "worker.told", "A signal told the worker to end."
