"""Who may talk to the app: host names, frames, other sites, the token of the printed link."""
