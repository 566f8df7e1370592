"""How fast every step is beside a plain way of doing it, in one run on one machine.

`suite.run_benchmark` measures all; a module each for coreset, LayerCAM, fine-tuning, PatchCore,
waiting times and growth. Every plain way stands beside what it is compared with, as a reader would
write it at first, and both must give equal results before a time counts.
"""
