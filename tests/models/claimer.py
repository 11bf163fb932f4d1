"""A process that claims a batch's jobs one after another: `python claimer.py URL BOOT`, messages on standard input.

It says when it is ready, starts at the first message, and prints the numbers of the jobs that it got.
"""

import json
import sys

from models.records.claims import claim
from models.records.database import Database
from models.types.message import JobMessage

database = Database(sys.argv[1])
sys.stdout.write("ready\n")
sys.stdout.flush()
claimed = []
for line in sys.stdin:
    with database.writing() as session:
        got = claim(session, JobMessage.model_validate_json(line), int(sys.argv[2]))
    claimed += [one.job_id for one in got]
database.close()
sys.stdout.write(json.dumps(claimed))
