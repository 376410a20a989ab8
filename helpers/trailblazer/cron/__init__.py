"""What cron needs around a verb: an environment, a lock, a log, a job file and alerts; and the crontab."""
