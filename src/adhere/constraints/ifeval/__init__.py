"""IFEval's 25 kinds (Zhou et al. 2023, arXiv 2311.07911): the reference's verdicts, and in `fixed()` what it says."""
