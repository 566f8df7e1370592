"""Files, processes, devices and progress: what every package may use."""
