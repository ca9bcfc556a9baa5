import threading

from snakemake.scheduling.job_scheduler import JobScheduler

from sheetlens.workflow import sigterm


def test_a_signal_amid_what_holds_the_schedulers_lock_stops_it_afterwards(monkeypatch):
    monkeypatch.setattr(JobScheduler, "exit_gracefully", JobScheduler.exit_gracefully)
    sigterm.install()
    scheduler = JobScheduler.__new__(JobScheduler)
    scheduler._lock, scheduler._open_jobs, scheduler._user_kill = threading.Lock(), threading.Semaphore(0), None
    with scheduler._lock:
        scheduler.exit_gracefully(15, None)  # as the handler of the signal, by this same thread
        assert scheduler._user_kill is None
    assert scheduler._open_jobs.acquire(timeout=60)
    assert scheduler._user_kill == "graceful"
