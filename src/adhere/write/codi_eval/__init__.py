"""CoDI-Eval as a writer of instructions (Chen et al. 2024, arXiv 2401.00690, section on building)."""
