"""What `route` needs: aptitude tests, capability texts, the learned router, its baselines, pools of candidates."""
