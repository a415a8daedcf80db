"""Training jobs in a process of their own.

`supervisor` starts `python -m app.worker` when a job is queued, from the service or the command
line. That process, the warden, holds the lock that only one of its kind can hold. It takes one job
after the other, runs each in a child process of the lowest priority, hears from it over a pipe,
and alone writes the job's rows. It imports no TensorFlow, so that it can end a child in whatever
state that is: TensorFlow's converter, for one, holds Python's global lock for ten seconds and
more, through which no thread of the child itself would run.
"""
