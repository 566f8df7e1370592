"""Run folders on disk and the queue of jobs that write them."""
