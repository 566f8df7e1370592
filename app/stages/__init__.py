"""The Stages page: everything that happens to one photo, on one page."""
