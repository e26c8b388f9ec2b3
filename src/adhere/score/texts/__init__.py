"""What can be said of a text by its words: overlap, grounding, faithfulness, answers in it, lengths."""
