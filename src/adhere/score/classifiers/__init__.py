"""Text classifiers: sentiment, emotion, topic, toxicity; small ones are shipped in `weights/`."""
